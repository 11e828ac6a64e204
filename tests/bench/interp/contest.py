"""Runs the contestants of interp.sh in turn, checks what they print, and prints medians and ratios.

Every contestant is a process that runs one program once, prints the guest's output and result, and tells the processor
seconds of loading and of running it (instantiation included) on standard error. A ratio above 1 means that Hemi is faster.
"""
import argparse, math, os, statistics, subprocess, sys

# The results of our own programs. Those with structures and arrays are not for wasm3.
EXPECTED = {
    'fib': 5702887, 'sieve': 941976, 'matmul_i32': 981166719, 'matmul_f64': 20352765, 'xorshift': 2105707759166511329,
    'tree': 100930944, 'strings': 1140526128, 'sort': 872319980, 'lz': 2010637487, 'bytecode': 849640,
    'bt': 68332206, 'arr': 2497500000,
}
GC = {'bt', 'arr'}


def once(command, expected):
    """Seconds of loading and running, and whatever else was told; dies if the result is wrong."""
    done = subprocess.run(command, capture_output=True)
    output = done.stdout.decode(errors='replace').strip()
    if done.returncode:
        sys.exit(f'{" ".join(command)}: exit {done.returncode}: {done.stderr.decode(errors="replace")}')
    if expected is not None and output != expected:
        sys.exit(f'{" ".join(command)}: printed {output[:200]!r} instead of {expected[:200]!r}')
    return [float(v) for v in done.stderr.split()], output


def contest(commands, runs, expected=None):
    """Medians by contestant: (load, run). The contestants take turns; all must print the same."""
    times = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            told, output = once(command, expected)
            expected = output
            times[name].append(told)
    return {name: [statistics.median(v) for v in zip(*t)] for name, t in times.items()}


def ratio_text(times, peer, index):
    return f'{times[peer][index] / times["hemi"][index]:8.2f}' if peer in times else '       -'


def run_programs(args, engines):
    ratios = []
    print(f'\nrunning, medians of {args.runs}\n{"":14}{"hemi":>9}   {"wasm3/hemi":>10} {"wasmtime/hemi":>14}')
    for name, expected in EXPECTED.items():
        if args.only not in name:
            continue
        file = os.path.join(args.programs, name + '.wasm')
        commands = {e: [path, file, 'run'] for e, path in engines.items() if not (e == 'wasm3' and name in GC)}
        times = contest(commands, args.runs, str(expected))
        print(f'{name:14}{1e3 * times["hemi"][1]:6.0f} ms   {ratio_text(times, "wasm3", 1):>10} '
              f'{ratio_text(times, "wasmtime", 1):>14}', flush=True)
        if 'wasm3' in times:
            ratios.append((times['wasm3'][1] / times['hemi'][1], name))
    if ratios:
        mean = math.exp(statistics.fmean(math.log(r) for r, _ in ratios))
        print(f'beside wasm3: geometric mean {mean:.2f}, least {min(ratios)[0]:.2f} ({min(ratios)[1]})')


def expected_of(file):
    """What the file beside a program says that it prints, or None."""
    path = os.path.splitext(file)[0] + '.expected'
    if not os.path.exists(path):
        return None
    with open(path, encoding='utf-8') as told:
        return told.read().strip()


def run_given(args, engines):
    for program in args.given:
        file, *call = program.split(':')
        commands = {e: [path, file, *call] for e, path in engines.items() if e != 'wasm3'}
        times = contest(commands, args.runs, None if call else expected_of(file))
        print(f'\n{os.path.basename(program)}, from bytes to finished output')
        for e, (load, run) in times.items():
            text = f'  {e:10} load {1e3 * load:7.1f} ms   run {1e3 * run:7.1f} ms   all {1e3 * (load + run):7.1f} ms'
            if e != 'hemi':
                text += f'   {e}/hemi: run {ratio_text(times, e, 1).strip()}'
                text += f', all {(load + run) / sum(times["hemi"][:2]):.2f}'
            print(text, flush=True)


def run_loads(args, engines):
    files = args.load + [p.split(':')[0] for p in args.given]
    files = [f for f in files if f and os.path.getsize(f) > 100000]
    print(f'\nloading: decode, validate and translate (Wasmtime: compile, once), MB of code per second on one core')
    for file in files:
        first, load, code = contest({'hemi': [engines['hemi'], file, '-']}, args.runs)['hemi']
        text = f'{os.path.basename(file):18} {code / 1e6:6.2f} MB of code   '
        text += f'hemi {code / 1e6 / load:7.1f} (first of a process {code / 1e6 / first:5.1f})'
        if 'wasmtime' in engines:
            peer = contest({'wasmtime': [engines['wasmtime'], file, '-']}, 1)['wasmtime'][0]
            text += f'   wasmtime {code / 1e6 / peer:6.2f}'
        print(text, flush=True)


def main():
    parser = argparse.ArgumentParser()
    for engine in 'hemi', 'wasm3', 'wasmtime':
        parser.add_argument('--' + engine)
    parser.add_argument('--runs', type=int)
    parser.add_argument('--programs')
    parser.add_argument('--only')
    parser.add_argument('--load', nargs='*', default=[])
    parser.add_argument('--given', nargs='*', default=[])
    args = parser.parse_args()
    engines = {e: getattr(args, e) for e in ('hemi', 'wasm3', 'wasmtime') if getattr(args, e)}
    run_programs(args, engines)
    if not args.only:
        run_given(args, engines)
        run_loads(args, engines)


main()
