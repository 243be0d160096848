//! The tree that the browser looks at.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::chore::{self, Result, program};

/// Names that would do harm in a page that does not escape them, and how the page shows them.
pub(super) const HOSTILE: [(&str, &str); 4] = [
    (
        "<img src=x onerror=alert(1)>",
        "<img src=x onerror=alert(1)>",
    ),
    ("\"><script>alert(2)<", "\"><script>alert(2)<"),
    ("photo\u{202e}gpj.exe", "photo\u{fffd}gpj.exe"),
    (
        "two\nlines &amp; javascript:alert(3)",
        "two\u{240a}lines &amp; javascript:alert(3)",
    ),
];

const FOLDERS: [&str; 7] = [
    "hostile",
    "many",
    "music",
    "photos",
    "projects",
    "projects/deep",
    "projects/deep/er",
];

/// Entries of the folder `many`.
pub(super) const MANY: usize = 5_000;

/// What is downloaded: a name, and its bytes by their number.
pub(super) const DOWNLOAD: &str = "archive.tar.gz";
const DOWNLOAD_BYTES: u32 = 700_000;

pub(super) const FILM: &str = "film.webm";

/// Makes the tree below `folder`, but for the film only what an earlier run did not.
pub(super) fn make(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("root");
    write(&root).map_err(|error| format!("cannot write {}: {error}", root.display()))?;
    let film = root.join(FILM);
    if !film.exists() {
        make_film(&film)?;
    }
    set_day(&film, 20_301).map_err(|error| format!("{}: {error}", film.display()))?;
    Ok(root)
}

fn write(root: &Path) -> io::Result<()> {
    for name in [
        "music",
        "photos/summer",
        "projects/deep/er",
        "hostile",
        "many",
    ] {
        fs::create_dir_all(root.join(name))?;
    }
    let long = "a name that goes on and on, until no phone has room for all of it on one line.txt";
    for (name, bytes, day) in [
        (DOWNLOAD, DOWNLOAD_BYTES, 18_230),
        ("empty", 0, 19_000),
        ("harbour.jpg", 90_000, 19_345),
        ("notes.txt", 1_536, 19_791),
        ("projects/deep/report.pdf", 48_000, 19_792),
        ("README.md", 4_212, 20_100),
        ("song.flac", 3_400_000, 17_001),
        (long, 12, 20_250),
    ] {
        // Bytes that differ, so that none can be lost unnoticed.
        let content: Vec<u8> = (0..bytes)
            .map(|number| (number.wrapping_mul(0x9e37_79b9) >> 24) as u8)
            .collect();
        fs::write(root.join(name), content)?;
        set_day(&root.join(name), day)?;
    }
    for (name, _) in HOSTILE {
        fs::write(root.join("hostile").join(name), "")?;
    }
    for number in 0..MANY {
        fs::write(root.join(format!("many/{number}")), "")?;
    }
    // Last, for what is made in them changes them.
    for (day, name) in (20_000..).step_by(7).zip(FOLDERS) {
        set_day(&root.join(name), day)?;
    }
    Ok(())
}

/// Says that it was changed last on this day after 1970, at a time that follows from the day.
fn set_day(path: &Path, day: u64) -> io::Result<()> {
    let time = UNIX_EPOCH + Duration::from_secs(day * 86_400 + day % 1_440 * 60);
    File::open(path)?.set_modified(time)
}

/// A minute of noise, which is too much to be buffered at once.
fn make_film(path: &Path) -> Result<()> {
    const SOURCE: &str = "testsrc=size=320x180:rate=25:duration=60,noise=alls=60:allf=t";
    let codec = [
        "-c:v",
        "libvpx",
        "-deadline",
        "realtime",
        "-cpu-used",
        "8",
        "-b:v",
        "8M",
    ];
    chore::run(
        program("ffmpeg")
            .args(["-loglevel", "error", "-y", "-f", "lavfi", "-i", SOURCE])
            .args(codec)
            .arg(path),
    )
}
