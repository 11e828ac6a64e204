;; A bump, then the fields by INIT; where there is no room for it the slow path is a helper at a site, whose map says what
;; else is alive. Arrays of a fixed length do the same, others only when they are short.
(module
  (type $pair (struct (field (mut i32)) (field (mut (ref null $pair)))))
  (type $bytes (array (mut i8)))
  (type $refs (array (mut (ref null $pair))))
  (func $cons (param $head i32) (param $tail (ref null $pair)) (result (ref $pair))
    (struct.new $pair (local.get $head) (local.get $tail)))
  (func $two (result (ref $pair))
    (struct.new $pair (i32.const 1) (struct.new $pair (i32.const 2) (ref.null $pair))))
  (func $zeroed (result (ref $pair))
    (struct.new_default $pair))
  (func $buffer (param $n i32) (result (ref $bytes))
    (array.new_default $bytes (local.get $n)))
  (func $three (param $p (ref $pair)) (result (ref $refs))
    (array.new_fixed $refs 3 (local.get $p) (ref.null $pair) (local.get $p)))
  (func $filled (param $n i32) (result (ref $refs))
    (array.new $refs (call $zeroed) (local.get $n))))
