//! Screenshots: all of them for people to look at, a few as pictures for the documentation.

use std::fs;
use std::path::{Path, PathBuf};

use super::browser::Browser;
use crate::chore::Result;

/// The screenshots that become pictures, and what those are called.
const PICTURES: [(&str, &str); 5] = [
    ("root-1280-light", "listing-light"),
    ("root-1280-dark", "listing-dark"),
    ("root-390-dark", "listing-phone"),
    ("error", "error"),
    ("status-1280-light", "status"),
];

/// In percent: text is still sharp.
const PICTURE_QUALITY: u8 = 80;

/// Pictures lie in the repository for ever.
const PICTURE_BYTES_MAX: usize = 60 * 1024;

/// Where they are written to.
pub(super) struct Shots {
    folder: PathBuf,
    pictures: Option<PathBuf>,
}

impl Shots {
    /// `folder` for all, `pictures` for those of the documentation, if they are wanted.
    pub(super) fn new(folder: PathBuf, pictures: Option<PathBuf>) -> Shots {
        Shots { folder, pictures }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps what the browser shows now under a name.
    pub(super) fn take(&self, browser: &mut Browser, name: &str) -> Result<()> {
        write(
            &self.folder.join(format!("{name}.png")),
            &browser.screenshot()?,
        )?;
        let called = PICTURES
            .iter()
            .find_map(|&(shot, called)| (shot == name).then_some(called));
        let (Some(folder), Some(called)) = (&self.pictures, called) else {
            return Ok(());
        };
        let picture = browser.picture(PICTURE_QUALITY)?;
        if picture.len() > PICTURE_BYTES_MAX {
            let bytes = picture.len();
            return Err(format!("the picture {called:?} has {bytes} bytes"));
        }
        write(&folder.join(format!("{called}.webp")), &picture)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}
