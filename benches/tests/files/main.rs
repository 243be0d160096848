//! Files behave as tokio's, beyond what its own tests ask: the same cases on both runtimes, in one process.

#[path = "ringway.rs"]
mod on_ringway;
#[path = "tokio.rs"]
mod on_tokio;

/// Mutants: reading a pipe from its beginning; seeking to where the file system has no place; options that contradict each
/// other and are taken.
#[test]
fn files_behave_as_in_tokio() {
    let ours = on_ringway::cases::all();
    let theirs = on_tokio::cases::all();
    assert!(ours.len() > 500, "{} cases", ours.len());
    let differ: Vec<_> = ours
        .iter()
        .zip(&theirs)
        .filter(|(ours, theirs)| ours != theirs)
        .collect();
    assert!(differ.is_empty(), "ours, and tokio's: {differ:#?}");
    assert_eq!(ours.len(), theirs.len());
}
