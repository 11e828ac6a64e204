// A benchmark peer: runs a module in V8. usage: node node.mjs FILE [EXPORT ARG]; FILE is a binary module.
import { readFileSync, writeSync } from 'node:fs'

const [file, name, arg] = process.argv.slice(2)
let instance
const view = () => new DataView(instance.exports.memory.buffer)
const wasi_snapshot_preview1 = {
    fd_write(fd, iovs, n, written) {
        let total = 0
        for (let i = 0; i < n; i++) {
            const at = view().getUint32(iovs + 8 * i, true), len = view().getUint32(iovs + 8 * i + 4, true)
            writeSync(1, new Uint8Array(instance.exports.memory.buffer, at, len))
            total += len
        }
        view().setUint32(written, total, true)
        return 0
    },
    random_get(at, len) {
        new Uint8Array(instance.exports.memory.buffer, at, len).fill(7)
        return 0
    },
}
instance = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), { wasi_snapshot_preview1 })
if (name) console.log(instance.exports[name](Number(arg)))
else (instance.exports._initialize ?? instance.exports._start)()
