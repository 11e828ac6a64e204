;; Binary trees of two-reference structures: complete trees of every even depth from 4 to 18, as many as make each depth
;; the same work, while one of depth 18 lives on. The result is the number of nodes visited, modulo 2^32.
(module
  (rec (type $tree (struct (field $left (ref null $tree)) (field $right (ref null $tree)))))

  (func $grow (param $depth i32) (result (ref $tree))
    local.get $depth
    i32.eqz
    if
      struct.new_default $tree
      return
    end
    local.get $depth
    i32.const 1
    i32.sub
    call $grow
    local.get $depth
    i32.const 1
    i32.sub
    call $grow
    struct.new $tree)

  ;; An inner node has both children.
  (func $nodes (param $tree (ref $tree)) (result i32)
    (local $left (ref null $tree))
    local.get $tree
    struct.get $tree $left
    local.tee $left
    ref.is_null
    if
      i32.const 1
      return
    end
    local.get $left
    ref.as_non_null
    call $nodes
    local.get $tree
    struct.get $tree $right
    ref.as_non_null
    call $nodes
    i32.add
    i32.const 1
    i32.add)

  (func (export "run") (result i32)
    (local $kept (ref null $tree)) (local $depth i32) (local $left i32) (local $sum i32)
    i32.const 19
    call $grow
    call $nodes
    local.set $sum
    i32.const 18
    call $grow
    local.set $kept
    i32.const 4
    local.set $depth
    loop $depths
      i32.const 0x400000
      local.get $depth
      i32.shr_u
      local.set $left
      loop $trees
        local.get $depth
        call $grow
        call $nodes
        local.get $sum
        i32.add
        local.set $sum
        local.get $left
        i32.const 1
        i32.sub
        local.tee $left
        br_if $trees
      end
      local.get $depth
      i32.const 2
      i32.add
      local.tee $depth
      i32.const 18
      i32.le_u
      br_if $depths
    end
    local.get $kept
    ref.as_non_null
    call $nodes
    local.get $sum
    i32.add))
