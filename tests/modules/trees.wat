;; Binary trees: builds and counts complete trees of two-reference structs, most of them garbage at once.
;; run(n): a stretch tree of depth n+1, one tree of depth n that lives to the end, and for every other depth from 4 to n
;; 2^(n-d+4) trees of depth d; the result is the number of all their nodes, modulo 2^32.
(module
  (rec (type $tree (struct (field $left (ref null $tree)) (field $right (ref null $tree)))))

  (func $grow (param $depth i32) (result (ref $tree))
    local.get $depth
    i32.eqz
    if (result (ref $tree))
      struct.new_default $tree
    else
      local.get $depth
      i32.const 1
      i32.sub
      local.tee $depth
      call $grow
      local.get $depth
      call $grow
      struct.new $tree
    end)

  ;; An inner node has both children.
  (func $nodes (param $tree (ref $tree)) (result i32)
    block $leaf
      local.get $tree
      struct.get $tree $left
      br_on_null $leaf
      call $nodes
      local.get $tree
      struct.get $tree $right
      ref.as_non_null
      call $nodes
      i32.add
      i32.const 1
      i32.add
      return
    end
    i32.const 1)

  (func $many (param $count i32) (param $depth i32) (result i32)
    (local $total i32)
    loop $again
      (local.set $total (i32.add (local.get $total) (call $nodes (call $grow (local.get $depth)))))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $again (local.get $count))
    end
    local.get $total)

  (func (export "run") (param $n i32) (result i32)
    (local $kept (ref $tree)) (local $depth i32) (local $total i32)
    (local.set $total (call $many (i32.const 1) (i32.add (local.get $n) (i32.const 1))))
    (local.set $kept (call $grow (local.get $n)))
    (local.set $depth (i32.const 4))
    (block $done
      (loop $deeper
        (br_if $done (i32.gt_s (local.get $depth) (local.get $n)))
        (local.set $total
          (i32.add (local.get $total)
            (call $many
              (i32.shl (i32.const 16) (i32.sub (local.get $n) (local.get $depth)))
              (local.get $depth))))
        (local.set $depth (i32.add (local.get $depth) (i32.const 2)))
        (br $deeper)))
    (i32.add (local.get $total) (call $nodes (local.get $kept)))))
