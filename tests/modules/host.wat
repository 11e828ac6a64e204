;; Calls in both directions, and host references that pass through.
;; add(a, b) is a+b; ext(x) is x; loop(n), n > 0, is n + (n-1) + ... + 1, added up by the host.
(module
  (import "h" "id" (func $id (param externref) (result externref)))
  (import "h" "add" (func $host_add (param i32 i32) (result i32)))
  (func (export "add") (param $a i32) (param $b i32) (result i32)
    local.get $b
    local.get $a
    i32.add)
  (func (export "ext") (param $x externref) (result externref) (local.get $x))
  (func (export "through") (param $x externref) (result externref) (call $id (local.get $x)))
  (func (export "loop") (param $n i32) (result i32)
    (local $sum i32)
    loop $more
      local.get $sum
      local.get $n
      call $host_add
      local.set $sum
      local.get $n
      i32.const 1
      i32.sub
      local.tee $n
      br_if $more
    end
    local.get $sum))
