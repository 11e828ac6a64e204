;; A v128 takes two slots, and its instructions take and leave it there; r0 stays as it is.
(module
  (memory 1)
  (type $box (struct (field (mut v128))))
  (func $scale (param $v v128) (param $f f32) (result v128)
    (f32x4.mul (local.get $v) (f32x4.splat (local.get $f))))
  (func $dot (param $at i32) (param $n i32) (result f32) (local $s v128)
    (loop $next
      (local.set $s (f32x4.add (local.get $s) (f32x4.mul (v128.load (local.get $at)) (v128.load offset=64 (local.get $at)))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $n))))
    (f32x4.extract_lane 0 (local.get $s)))
  (func $swap (param $b (ref $box)) (param $v v128) (result v128) (local $old v128)
    (local.set $old (struct.get $box 0 (local.get $b)))
    (struct.set $box 0 (local.get $b) (local.get $v))
    (local.get $old)))
