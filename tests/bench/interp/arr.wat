;; Lists of small arrays of i32, made and walked: allocation of objects without references. The result is the sum of one
;; element of each array.
(module
  (type $numbers (array (mut i32)))
  (rec (type $list (struct (field $head (ref $numbers)) (field $tail (ref null $list)))))

  (func $make (param $count i32) (result (ref null $list))
    (local $list (ref null $list)) (local $i i32)
    loop $each
      local.get $i
      i32.const 4
      array.new $numbers
      local.get $list
      struct.new $list
      local.set $list
      local.get $i
      i32.const 1
      i32.add
      local.tee $i
      local.get $count
      i32.lt_u
      br_if $each
    end
    local.get $list)

  (func $sum (param $list (ref null $list)) (result i32)
    (local $sum i32)
    block $end
      loop $each
        local.get $list
        br_on_null $end
        struct.get $list $head
        i32.const 3
        array.get $numbers
        local.get $sum
        i32.add
        local.set $sum
        local.get $list
        struct.get $list $tail
        local.set $list
        br $each
      end
      unreachable
    end
    local.get $sum)

  (func (export "run") (result i32)
    (local $round i32) (local $sum i32)
    loop $rounds
      i32.const 1000
      call $make
      call $sum
      local.get $sum
      i32.add
      local.set $sum
      local.get $round
      i32.const 1
      i32.add
      local.tee $round
      i32.const 5000
      i32.lt_u
      br_if $rounds
    end
    local.get $sum))
