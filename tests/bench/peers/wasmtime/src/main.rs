// A benchmark peer: runs a module in Wasmtime with its copying collector, as `hemi run` does in Hemi.
// usage: peer-wasmtime FILE [EXPORT [ARG]]; with no export, `_initialize` or `_start` with the two WASI imports of the
// programs that we measure (fd_write to standard output, random_get); with the export "-" it only compiles. Processor
// seconds of compiling (on one thread) and of the rest go to standard error.
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

/// Processor seconds of this process: its clock 2, from the C library that Rust links anyway.
fn seconds() -> f64 {
    #[repr(C)]
    struct Timespec {
        seconds: i64,
        nanoseconds: i64,
    }
    unsafe extern "C" {
        fn clock_gettime(clock: i32, to: *mut Timespec) -> i32;
    }
    let mut t = Timespec { seconds: 0, nanoseconds: 0 };
    unsafe { clock_gettime(2, &mut t) };
    t.seconds as f64 + t.nanoseconds as f64 * 1e-9
}

/// Calls an export of no or one i32 parameter and no, an i32 or an i64 result; gives the result as text.
fn call(store: &mut Store<()>, f: &Func, arg: Option<&String>) -> Result<Option<String>> {
    let args: Vec<Val> = arg.iter().map(|a| Val::I32(a.parse().unwrap())).collect();
    let mut results = vec![Val::I32(0); f.ty(&*store).results().len()];
    f.call(&mut *store, &args, &mut results)?;
    Ok(results.first().map(|v| match v {
        Val::I32(v) => format!("{}", *v as u32),
        Val::I64(v) => format!("{}", *v as u64),
        _ => "?".to_string(),
    }))
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    if args.len() == 1 {
        println!("wasmtime 48 (crate), collector: copying");
        return Ok(());
    }
    let engine = Engine::new(&config())?;
    let bytes = std::fs::read(&args[1]).unwrap();
    let start = seconds();
    let module = Module::new(&engine, &bytes)?;
    let compiled = seconds();
    if args.get(2).is_some_and(|a| a == "-") {
        eprintln!("{:.6}", compiled - start);
        return Ok(());
    }
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func_wrap("wasi_snapshot_preview1", "fd_write", fd_write)?;
    linker.func_wrap("wasi_snapshot_preview1", "random_get", random_get)?;
    let instance = linker.instantiate(&mut store, &module)?;
    let names = args.get(2).map_or(vec!["_initialize", "_start"], |name| vec![name]);
    let f = names.iter().find_map(|name| instance.get_func(&mut store, name)).expect("such an export");
    let result = call(&mut store, &f, args.get(3))?;
    eprintln!("{:.6} {:.6}", compiled - start, seconds() - compiled);
    result.iter().for_each(|r| println!("{r}"));
    Ok(())
}
