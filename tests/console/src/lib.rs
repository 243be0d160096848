//! ringway's tasks as tokio-console sees them, and as any subscriber does. The tests are in `tests/`; `cargo xtask
//! console` builds and runs them.
