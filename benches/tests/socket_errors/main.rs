//! What goes wrong with sockets and pipes is told as tokio tells it: the same cases on both runtimes, in one process.

#[path = "ringway.rs"]
mod on_ringway;
#[path = "tokio.rs"]
mod on_tokio;

/// Mutants: an end of the stream that is an error; a reset that is an end; a shutdown that fails without a connection.
#[test]
fn errors_resets_and_ends_are_told_as_in_tokio() {
    let ours = on_ringway::cases::all();
    let theirs = on_tokio::cases::all();
    assert!(ours.len() > 40, "{} cases", ours.len());
    assert_eq!(ours, theirs);
}
