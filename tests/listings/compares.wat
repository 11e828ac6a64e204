;; A comparison in front of a branch, an if or a select is one instruction with it; a constant goes into it.
(module
  (func $max (param $a i32) (param $b i32) (result i32)
    (select (local.get $a) (local.get $b) (i32.gt_s (local.get $a) (local.get $b))))
  (func $sign (param $a i64) (result i32)
    (if (i64.lt_s (local.get $a) (i64.const 0)) (then (return (i32.const -1))))
    (i64.ne (local.get $a) (i64.const 0)))
  (func $between (param $a f64) (result i32)
    (block $out
      (br_if $out (f64.lt (local.get $a) (f64.const 1)))
      (br_if $out (i32.eqz (f64.le (local.get $a) (f64.const 2))))
      (return (i32.const 1)))
    (i32.const 0))
  (func $divide (param $a i32) (param $b i32) (result i32)
    (i32.div_s (local.get $a) (local.get $b))))
