;; A search tree in the garbage-collected heap. Each node has a key and the client's own object, as an externref.
(module
  (import "client" "visit" (func $visit (param i32 externref)))
  (type $node (struct
    (field $key i32) (field $value externref)
    (field $left (mut (ref null $node))) (field $right (mut (ref null $node)))))
  (global $root (mut (ref null $node)) (ref.null $node))

  (func $add (param $at (ref null $node)) (param $key i32) (param $value externref) (result (ref $node))
    (if (ref.is_null (local.get $at))
      (then (return (struct.new $node
        (local.get $key) (local.get $value) (ref.null $node) (ref.null $node)))))
    (if (i32.lt_s (local.get $key) (struct.get $node $key (local.get $at)))
      (then (struct.set $node $left (local.get $at)
        (call $add (struct.get $node $left (local.get $at)) (local.get $key) (local.get $value))))
      (else (struct.set $node $right (local.get $at)
        (call $add (struct.get $node $right (local.get $at)) (local.get $key) (local.get $value)))))
    (ref.as_non_null (local.get $at)))

  (func (export "insert") (param $key i32) (param $value externref)
    (global.set $root (call $add (global.get $root) (local.get $key) (local.get $value))))

  ;; In order, from `low` on: the client is called for each node.
  (func $each (param $at (ref null $node)) (param $low i32) (result i32)
    (local $seen i32)
    (if (ref.is_null (local.get $at)) (then (return (i32.const 0))))
    (local.set $seen (call $each (struct.get $node $left (local.get $at)) (local.get $low)))
    (if (i32.ge_s (struct.get $node $key (local.get $at)) (local.get $low))
      (then
        (call $visit (struct.get $node $key (local.get $at)) (struct.get $node $value (local.get $at)))
        (local.set $seen (i32.add (local.get $seen) (i32.const 1)))))
    (i32.add (local.get $seen)
      (call $each (struct.get $node $right (local.get $at)) (local.get $low))))
  (func (export "walk") (param $low i32) (result i32) (call $each (global.get $root) (local.get $low)))

  ;; Rebuilds the tree without the keys below `low`: what is left behind is garbage.
  (func $copy (param $at (ref null $node)) (param $low i32)
    (if (ref.is_null (local.get $at)) (then (return)))
    (if (i32.ge_s (struct.get $node $key (local.get $at)) (local.get $low))
      (then (global.set $root (call $add (global.get $root)
        (struct.get $node $key (local.get $at)) (struct.get $node $value (local.get $at))))))
    (call $copy (struct.get $node $left (local.get $at)) (local.get $low))
    (call $copy (struct.get $node $right (local.get $at)) (local.get $low)))
  (func (export "prune") (param $low i32) (local $old (ref null $node))
    (local.set $old (global.get $root))
    (global.set $root (ref.null $node))
    (call $copy (local.get $old) (local.get $low))))
