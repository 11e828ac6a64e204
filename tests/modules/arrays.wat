;; Lists of small i32 arrays: allocation of objects without references in them.
;; run(n): at least once and n times, a list of 1000 cells, the j-th holding an array of four times j; the result is
;; the sum of the arrays' last elements, modulo 2^32.
(module
  (type $quad (array (mut i32)))
  (type $cell (struct (field $quad (ref $quad)) (field $next (mut (ref null $cell)))))

  (func $list (param $length i32) (result (ref null $cell))
    (local $first (ref null $cell)) (local $at i32)
    loop $more
      local.get $at
      i32.const 4
      array.new $quad
      local.get $first
      struct.new $cell
      local.set $first
      local.get $at
      i32.const 1
      i32.add
      local.tee $at
      local.get $length
      i32.ne
      br_if $more
    end
    local.get $first)

  (func $sum (param $cell (ref null $cell)) (result i32)
    (local $sum i32)
    block $end (result (ref null $cell))
      loop $next
        local.get $cell
        ref.null $cell
        local.get $cell
        ref.is_null
        br_if $end
        drop
        struct.get $cell $quad
        i32.const 3
        array.get $quad
        local.get $sum
        i32.add
        local.set $sum
        local.get $cell
        struct.get $cell $next
        local.set $cell
        br $next
      end
      unreachable
    end
    drop
    local.get $sum)

  (func (export "run") (param $n i32) (result i32)
    (local $round i32) (local $total i32)
    (loop $again
      (local.set $total (i32.add (local.get $total) (call $sum (call $list (i32.const 1000)))))
      (local.set $round (i32.add (local.get $round) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $round) (local.get $n))))
    (local.get $total)))
