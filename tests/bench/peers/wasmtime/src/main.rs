// A benchmark peer: runs a module in Wasmtime with its copying collector, as `hemi run` does in Hemi.
// usage: peer-wasmtime FILE [EXPORT ARG]; with no export, `_initialize` or `_start` with the two WASI imports of the
// programs that we measure (fd_write to standard output, random_get).
use std::io::Write;
use wasmtime::*;

fn config() -> Config {
    let mut c = Config::new();
    c.wasm_gc(true).wasm_function_references(true).wasm_exceptions(true).wasm_tail_call(true);
    c.collector(Collector::Copying);
    c
}

fn memory(caller: &mut Caller<'_, ()>) -> Memory {
    caller.get_export("memory").and_then(Extern::into_memory).expect("a memory")
}

fn word(data: &[u8], at: usize) -> usize {
    u32::from_le_bytes(data[at..at + 4].try_into().unwrap()) as usize
}

fn fd_write(mut caller: Caller<'_, ()>, _fd: i32, iovs: i32, n: i32, written: i32) -> i32 {
    let memory = memory(&mut caller);
    let data = memory.data_mut(&mut caller);
    let mut total = 0;
    let mut out = std::io::stdout().lock();
    for i in 0..n as usize {
        let at = iovs as usize + 8 * i;
        let (from, len) = (word(data, at), word(data, at + 4));
        out.write_all(&data[from..from + len]).unwrap();
        total += len;
    }
    let at = written as usize;
    data[at..at + 4].copy_from_slice(&(total as u32).to_le_bytes());
    0
}

fn random_get(mut caller: Caller<'_, ()>, at: i32, len: i32) -> i32 {
    let memory = memory(&mut caller);
    memory.data_mut(&mut caller)[at as usize..(at + len) as usize].fill(7);
    0
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    if args.len() == 1 {
        println!("wasmtime 48 (crate), collector: copying");
        return Ok(());
    }
    let engine = Engine::new(&config())?;
    let module = Module::from_file(&engine, &args[1])?;
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func_wrap("wasi_snapshot_preview1", "fd_write", fd_write)?;
    linker.func_wrap("wasi_snapshot_preview1", "random_get", random_get)?;
    let instance = linker.instantiate(&mut store, &module)?;
    if args.len() > 3 {
        let f = instance.get_typed_func::<i32, i32>(&mut store, &args[2])?;
        println!("{}", f.call(&mut store, args[3].parse().unwrap())?);
        return Ok(());
    }
    for name in ["_initialize", "_start"] {
        if let Ok(f) = instance.get_typed_func::<(), ()>(&mut store, name) {
            return f.call(&mut store, ());
        }
    }
    Ok(())
}
