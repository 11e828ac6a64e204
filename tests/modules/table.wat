;; Plain instantiation: a memory with data, a table of functions, globals of plain constants.
;; run(_): 7, by an indirect call.
(module
  (type $number (func (result i32)))
  (memory $memory 1)
  (data (memory $memory) (offset (i32.const 16)) "a greeting" " in two parts")
  (global $a i32 (i32.const 1))
  (global $b (mut i64) (i64.const 2))
  (global $c f64 (f64.const 0x1.8p1))
  (table $table 128 funcref)
  (func $seven (type $number) (i32.const 7))
  (elem $all (table $table) (i32.const 0) func
    $seven $seven $seven $seven $seven $seven $seven $seven $seven $seven $seven $seven $seven $seven $seven $seven
    $seven $seven $seven $seven $seven $seven $seven $seven $seven $seven $seven $seven $seven $seven $seven $seven)
  (func (export "run") (param $ignored i32) (result i32)
    (call_indirect $table (type $number) (i32.const 3))))
