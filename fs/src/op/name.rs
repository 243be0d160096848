//! Operations on names: unlink, rmdir, rename, mkdir, link, symlink.

use std::ffi::CString;
use std::io;

use ringway_runtime::driver::{Completion, Operation, opcode, squeue, types};

/// One such operation. Relative paths start at the working directory of the process.
#[derive(Debug)]
pub(crate) enum NameOp {
    /// unlinkat(2) of a file.
    Unlink(CString),
    /// unlinkat(2) of an empty directory.
    RemoveDir(CString),
    /// mkdirat(2).
    MakeDir(CString, libc::mode_t),
    /// renameat2(2) without flags: the target is replaced.
    Rename(CString, CString),
    /// linkat(2): the second path becomes another name of the first.
    Link(CString, CString),
    /// symlinkat(2): the second path becomes a symbolic link with the first as its content.
    Symlink(CString, CString),
}

const CWD: types::Fd = types::Fd(libc::AT_FDCWD);

// SAFETY: the paths are on the heap, owned by self and left alone until `complete`. There is no descriptor.
unsafe impl Operation for NameOp {
    type Output = io::Result<()>;

    const ENDS_BY_ITSELF: bool = true;

    const REFUSED: &'static str = super::REFUSED;

    fn entry(&mut self) -> squeue::Entry {
        match self {
            Self::Unlink(path) => opcode::UnlinkAt::new(CWD, path.as_ptr()).build(),
            Self::RemoveDir(path) => opcode::UnlinkAt::new(CWD, path.as_ptr())
                .flags(libc::AT_REMOVEDIR)
                .build(),
            Self::MakeDir(path, mode) => {
                opcode::MkDirAt::new(CWD, path.as_ptr()).mode(*mode).build()
            }
            Self::Rename(from, to) => {
                opcode::RenameAt::new(CWD, from.as_ptr(), CWD, to.as_ptr()).build()
            }
            Self::Link(from, to) => {
                opcode::LinkAt::new(CWD, from.as_ptr(), CWD, to.as_ptr()).build()
            }
            Self::Symlink(content, link) => {
                opcode::SymlinkAt::new(CWD, content.as_ptr(), link.as_ptr()).build()
            }
        }
    }

    fn complete(self, completion: Completion) -> Self::Output {
        completion.result.map(drop)
    }
}
