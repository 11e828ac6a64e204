;; A loop's head polls, but a branch back runs that only when a poll is due. Counting up and comparing is one instruction.
(module
  (memory 1)
  (func $sum (param $n i32) (result i32) (local $i i32) (local $s i32)
    (loop $next
      (local.set $s (i32.add (local.get $s) (i32.load offset=16 (i32.shl (local.get $i) (i32.const 2)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $s))
  (func $collatz (param $n i64) (result i32) (local $steps i32)
    (block $done
      (loop $next
        (br_if $done (i64.eq (local.get $n) (i64.const 1)))
        (local.set $n
          (if (result i64) (i32.wrap_i64 (i64.and (local.get $n) (i64.const 1)))
            (then (i64.add (i64.mul (local.get $n) (i64.const 3)) (i64.const 1)))
            (else (i64.shr_u (local.get $n) (i64.const 1)))))
        (local.set $steps (i32.add (local.get $steps) (i32.const 1)))
        (br $next)))
    (local.get $steps))
  (func $switch (param $x i32) (result i32)
    (block $c (block $b (block $a (br_table $a $b $c (local.get $x))) (return (i32.const 10))) (return (i32.const 20)))
    (i32.const 30)))
