"""Runs one shell-quoted command; prints its wall seconds and the peak kilobytes of its process tree, summed over the
processes that were alive at once (so that a client and its daemon count together)."""
import os, shlex, subprocess, sys, time


def tree(pid):
    pids, todo = [], [pid]
    while todo:
        p = todo.pop()
        pids.append(p)
        try:
            with open(f'/proc/{p}/task/{p}/children') as f:
                todo += [int(c) for c in f.read().split()]
        except OSError:
            pass
    return pids


def rss(pid):
    try:
        with open(f'/proc/{pid}/smaps_rollup') as f:
            return next(int(line.split()[1]) for line in f if line.startswith('Pss:'))
    except (OSError, StopIteration):
        return 0


start = time.monotonic()
child = subprocess.Popen(shlex.split(sys.argv[1]), stdout=subprocess.DEVNULL)
peak = 0
while child.poll() is None:
    peak = max(peak, sum(rss(p) for p in tree(child.pid)))
    time.sleep(0.004)
wall = time.monotonic() - start
if child.returncode:
    sys.exit(f'{sys.argv[1]}: exit {child.returncode}')
print(wall, max(peak, 0))
