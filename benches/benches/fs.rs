//! Files in the page cache: ringway beside tokio, in processor time.

fn main() {
    ringway_benches::bench::main(&[
        "read_seek",
        "read_at",
        "read_sequential",
        "small_files_1",
        "small_files_20",
        "metadata",
        "write_remove",
        "create_remove",
        "walk_by_hand",
        "walk",
    ]);
}
