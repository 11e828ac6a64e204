;; run(n): the n-th Fibonacci number, by calls alone.
(module
  (func $fib (export "run") (param $n i32) (result i32)
    local.get $n
    i32.const 2
    i32.lt_s
    if
      local.get $n
      return
    end
    local.get $n
    i32.const 1
    i32.sub
    call $fib
    local.get $n
    i32.const 2
    i32.sub
    call $fib
    i32.add))
