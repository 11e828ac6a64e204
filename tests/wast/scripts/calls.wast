;; Calls: many parameters and results of all types, tail calls without end between frames of different sizes, calls
;; between instances, and running out of stack.

(module $callee
  (func (export "many") (param i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64)
    (result f64 f32 i64 i32 f64 f32 i64 i32)
    (f64.add (local.get 3) (f64.add (local.get 7) (f64.add (local.get 11) (f64.add (local.get 15) (local.get 19)))))
    (f32.add (local.get 2) (f32.add (local.get 6) (f32.add (local.get 10) (f32.add (local.get 14) (local.get 18)))))
    (i64.add (local.get 1) (i64.add (local.get 5) (i64.add (local.get 9) (i64.add (local.get 13) (local.get 17)))))
    (i32.add (local.get 0) (i32.add (local.get 4) (i32.add (local.get 8) (i32.add (local.get 12) (local.get 16)))))
    (local.get 19) (local.get 18) (local.get 17) (local.get 16))
  (global $calls (mut i32) (i32.const 0))
  (func (export "count") (param i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (i32.add (local.get 0) (global.get $calls))))
(register "callee" $callee)

(assert_return
  (invoke "many"
    (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (i32.const 10) (i64.const 20) (f32.const 30) (f64.const 40)
    (i32.const 100) (i64.const 200) (f32.const 300) (f64.const 400) (i32.const 1000) (i64.const 2000) (f32.const 3000)
    (f64.const 4000) (i32.const 10000) (i64.const 20000) (f32.const 30000) (f64.const 40000))
  (f64.const 44444) (f32.const 33333) (i64.const 22222) (i32.const 11111)
  (f64.const 40000) (f32.const 30000) (i64.const 20000) (i32.const 10000))

(module $caller
  (import "callee" "many" (func $many
    (param i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64)
    (result f64 f32 i64 i32 f64 f32 i64 i32)))
  (import "callee" "count" (func $count (param i32) (result i32)))
  (type $step (func (param i32 i32) (result i32)))
  (type $unary (func (param i32) (result i32)))
  (table $table funcref (elem $even $odd $count))
  (elem declare func $wide)

  (func (export "through") (result f64)
    (local $a f64) (local $b f32) (local $c i64) (local $d i32)
    (call $many
      (i32.const 1) (i64.const 1) (f32.const 1) (f64.const 1) (i32.const 1) (i64.const 1) (f32.const 1) (f64.const 1)
      (i32.const 1) (i64.const 1) (f32.const 1) (f64.const 1) (i32.const 1) (i64.const 1) (f32.const 1) (f64.const 1)
      (i32.const 2) (i64.const 3) (f32.const 4) (f64.const 5))
    (local.set $d) (local.set $c) (local.set $b) (local.set $a)
    (f64.convert_i32_s) (local.set $a (f64.mul (local.get $a)))
    (f64.convert_i64_s) (local.set $a (f64.add (local.get $a)))
    (f64.promote_f32) (local.set $a (f64.add (local.get $a)))
    (f64.add (local.get $a)))

  ;; Frames of different sizes take turns.
  (func $even (type $step)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call $odd (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (i32.const 1))))
  (func $odd (type $step) (local i64 i64 i64 i64 i64 i64 i64 i64)
    (if (i32.eqz (local.get 0)) (then (return (i32.sub (i32.const 0) (local.get 1)))))
    (local.set 9 (i64.const -1))
    (return_call_indirect (type $step)
      (i32.sub (local.get 0) (i32.const 1)) (i32.add (local.get 1) (i32.const 1)) (i32.const 0)))
  (func (export "turns") (param i32) (result i32) (call $even (local.get 0) (i32.const 0)))

  ;; More parameters than the caller's frame has room for.
  (type $wide (func (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i32) (result i64)))
  (func $wide (type $wide)
    (if (i32.eqz (local.get 12)) (then (return (i64.add (local.get 0) (local.get 11)))))
    (return_call_ref $wide (local.get 11) (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)
      (local.get 5) (local.get 6) (local.get 7) (local.get 8) (local.get 9) (local.get 10)
      (i32.sub (local.get 12) (i32.const 1)) (ref.func $wide)))
  (func (export "widen") (param i32) (result i64)
    (return_call $wide (i64.const 0) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) (i64.const 5)
      (i64.const 6) (i64.const 7) (i64.const 8) (i64.const 9) (i64.const 10) (i64.const 11) (local.get 0)))

  ;; Into another instance and back, as call and as tail call.
  (func (export "count") (param i32) (result i32) (call $count (local.get 0)))
  (func (export "count-tail") (param i32) (result i32) (return_call $count (local.get 0)))
  (func (export "count-table") (param i32) (result i32)
    (call_indirect (type $unary) (local.get 0) (i32.const 2)))
  (func (export "wrong-type") (result i32) (call_indirect (type $unary) (i32.const 0) (i32.const 0)))

  ;; Out of stack, by frames small and large, then as if nothing had been.
  (func $runaway (export "runaway") (call $runaway))
  (func $fat (export "fat") (param i32) (result i64)
    (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
    (local.set 7 (i64.extend_i32_u (local.get 0)))
    (i64.add (local.get 7) (call $fat (i32.add (local.get 0) (i32.const 1)))))
  (func $mutual (export "mutual") (param i32 i64) (result i32)
    (i32.add (i32.const 1) (call_indirect $backs (type $back) (f64.const 1) (local.get 0) (i32.const 0))))
  (type $back (func (param f64 i32) (result i32)))
  (func $back (type $back) (call $mutual (local.get 1) (i64.const 0)))
  (table $backs funcref (elem $back)))

(assert_return (invoke "through") (f64.const 54))
(assert_return (invoke "turns" (i32.const 10)) (i32.const 10))
(assert_return (invoke "turns" (i32.const 11)) (i32.const -11))
(assert_return (invoke "turns" (i32.const 1000000)) (i32.const 1000000))
(assert_return (invoke "widen" (i32.const 0)) (i64.const 11))
(assert_return (invoke "widen" (i32.const 1)) (i64.const 21))
(assert_return (invoke "widen" (i32.const 100000)) (i64.const 15))
(assert_return (invoke "count" (i32.const 10)) (i32.const 11))
(assert_return (invoke "count-tail" (i32.const 10)) (i32.const 12))
(assert_return (invoke "count-table" (i32.const 10)) (i32.const 13))
(assert_return (invoke $callee "count" (i32.const 10)) (i32.const 14))
(assert_trap (invoke "wrong-type") "indirect call type mismatch")
(assert_exhaustion (invoke "runaway") "call stack exhausted")
(assert_exhaustion (invoke "fat" (i32.const 0)) "call stack exhausted")
(assert_exhaustion (invoke "mutual" (i32.const 0) (i64.const 0)) "call stack exhausted")
(assert_return (invoke "turns" (i32.const 11)) (i32.const -11))
(assert_return (invoke "through") (f64.const 54))

;; A call that takes over the move before it stands where the move stood: the operand moved is not the call's to move on.
(module
  (global $sum (mut i32) (i32.const 0))
  (func $add (param i32)
    (global.set $sum (i32.add (i32.mul (global.get $sum) (i32.const 10)) (local.get 0))))
  (func $three (result i32) (i32.const 3))
  (func (export "moved-before") (param i32) (result i32)
    (local.get 0) (call $three)
    (block (param i32 i32) (call $add) (call $add))
    (global.get $sum)))
(assert_return (invoke "moved-before" (i32.const 7)) (i32.const 37))
