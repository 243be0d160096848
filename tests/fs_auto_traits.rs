//! Files, and the futures of all functions, can be sent to and shared with other threads.

use ringway::fs::{self, Dir, DirBuilder, DirEntry, File, FileTimes, OpenOptions, ReadDir, Status};

fn value<T: Send + Sync + Unpin>() {}

fn future<F: Future + Send + Sync>(_: impl FnOnce() -> F) {}

#[test]
fn types_are_send_sync_and_unpin() {
    value::<Dir>();
    value::<DirBuilder>();
    value::<DirEntry>();
    value::<File>();
    value::<FileTimes>();
    value::<OpenOptions>();
    value::<ReadDir>();
    value::<Status>();
}

/// Nothing is called: that it compiles is the assertion.
#[test]
fn futures_are_send_and_sync() {
    let path = "path";
    future(|| fs::canonicalize(path));
    future(|| fs::copy(path, path));
    future(|| fs::create_dir(path));
    future(|| fs::create_dir_all(path));
    future(|| fs::hard_link(path, path));
    future(|| fs::metadata(path));
    future(|| fs::read(path));
    future(|| fs::read_dir(path));
    future(|| fs::read_link(path));
    future(|| fs::read_to_string(path));
    future(|| fs::remove_dir(path));
    future(|| fs::remove_dir_all(path));
    future(|| fs::remove_file(path));
    future(|| fs::rename(path, path));
    future(|| fs::status(path));
    future(|| fs::symlink(path, path));
    future(|| fs::symlink_metadata(path));
    future(|| fs::try_exists(path));
    future(|| fs::write(path, Vec::new()));
    future(|| File::open(path));
    future(|| File::create(path));
    future(|| Dir::open(path));

    fn of_values(
        file: &File,
        sink: &File,
        options: &OpenOptions,
        dir: &Dir,
        entries: &mut ReadDir,
    ) {
        future(|| file.sync_all());
        future(|| file.sync_data());
        future(|| file.set_len(0));
        future(|| file.metadata());
        future(|| file.status());
        future(|| file.try_clone());
        future(|| file.set_times(FileTimes::new()));
        future(|| file.read_at(Vec::new(), 0));
        future(|| file.write_all_at(Vec::new(), 0));
        future(|| fs::transfer(file, 0, 0, sink));
        future(|| async { fs::Transfer::new(file, 0, 0, sink)?.advance().await });
        future(|| options.open("path"));
        future(|| options.open_beneath(dir, "path"));
        future(|| entries.next_entry());
    }
    let _ = of_values;
}
