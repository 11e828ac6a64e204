;; Runs until its worker is killed (tests/wast/selftest.sh).
(module (func (export "two") (result i32) (i32.const 2)) (func (export "forever") (loop (br 0))))
(assert_return (invoke "two") (i32.const 2))
(invoke "forever")
(assert_return (invoke "two") (i32.const 2))
(assert_return (invoke "two") (i32.const 2))
