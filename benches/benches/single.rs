//! Tasks on one thread: ringway beside tokio, in processor time.

fn main() {
    ringway_benches::bench::main(&[
        "single_join",
        "single_join_1",
        "single_join_10",
        "single_yield",
        "single_outside",
        "single_busy",
        "single_request",
    ]);
}
