//! TCP: ringway beside tokio, in processor time.

fn main() {
    ringway_benches::bench::main(&["echo_1", "echo_64", "echo_512"]);
}
