//! Paths, from the wire to a file of a real tree, against a model of that tree. What decides is
//! which file was opened, by device and inode: no spelling and no link may lead anywhere else.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use proptest::prelude::*;
use ringway::runtime::Builder;

use super::{joined, judge_cases};
use crate::path::SitePath;
use crate::policy::Symlinks;
use crate::site::Tree;

const PIECES: &[&[u8]] = &[
    b"/", b"/", b"/", b"/", b"/", b"a", b"a", b"b", b"b", b"c", b"link", b"links", b"up", b"self",
    b"esc", b"climb", b"abs", b"loop", b"..", b"..", b".", b"...", b"%2e", b"%2E", b"%61", b"%62",
    b"%2f", b"%5c", b"\\", b"%00", b"%", b"%4", b"%252e", b"secret", b"outside", b"site", b"\xe4",
    b"%e4", b" ",
];

/// Device and inode.
type Identity = (u64, u64);

/// What a name stands for.
#[derive(Debug)]
enum Node {
    Directory(Identity, BTreeMap<Vec<u8>, Node>),
    File(Identity),
    Link(Vec<u8>),
}

/// Files, directories and links that stay, that leave, and that lead in circles.
fn make_tree(folder: &Path) {
    let root = folder.join("site");
    for directory in ["site/b/c", "outside"] {
        std::fs::create_dir_all(folder.join(directory)).expect("a folder");
    }
    for file in [
        "site/a",
        "site/b/a",
        "site/b/c/a",
        "site/...",
        "site/%2e",
        "outside/secret",
        "outside/a",
        "secret",
        "a",
    ] {
        std::fs::write(folder.join(file), file).expect("a file");
    }
    std::fs::write(root.join(std::ffi::OsStr::from_bytes(b"\xe4")), "latin").expect("a file");
    for (target, link) in [
        ("b/a", "link"),
        ("b", "links"),
        ("../a", "b/up"),
        (".", "self"),
        ("..", "b/self"),
        ("../outside", "esc"),
        ("../../site/a", "b/climb"),
        ("/", "abs"),
        ("/etc", "b/abs"),
        ("loop", "loop"),
        ("../../links/../../a", "b/c/up"),
    ] {
        symlink(target, root.join(link)).expect("a link");
    }
}

fn model_of(path: &Path) -> Node {
    let status = std::fs::symlink_metadata(path).expect("it is there");
    let identity = (status.dev(), status.ino());
    if status.is_symlink() {
        let target = std::fs::read_link(path).expect("a link");
        return Node::Link(target.as_os_str().as_bytes().to_vec());
    }
    if !status.is_dir() {
        return Node::File(identity);
    }
    let entries = std::fs::read_dir(path).expect("a folder").map(|entry| {
        let entry = entry.expect("an entry");
        (
            entry.file_name().as_bytes().to_vec(),
            model_of(&entry.path()),
        )
    });
    Node::Directory(identity, entries.collect())
}

/// Links that the kernel follows in one path.
const LINKS_MAX: usize = 40;

/// What `path`, whose segments are plain names, leads to without leaving `root`.
fn resolve(root: &Node, path: &[Vec<u8>], symlinks: Symlinks) -> Option<Identity> {
    let mut left: Vec<Vec<u8>> = path.iter().rev().cloned().collect();
    let mut way = vec![root];
    let mut links = 0;
    while let Some(name) = left.pop() {
        let Some(Node::Directory(_, entries)) = way.last() else {
            return None;
        };
        match name.as_slice() {
            b"" | b"." => continue,
            b".." => {
                way.pop();
                // Above the root there is nothing.
                way.last()?;
                continue;
            }
            _ => {}
        }
        match entries.get(&name)? {
            Node::Link(target) => {
                links += 1;
                if symlinks == Symlinks::Never || target.starts_with(b"/") || links > LINKS_MAX {
                    return None;
                }
                left.extend(target.split(|&byte| byte == b'/').rev().map(<[u8]>::to_vec));
            }
            node => way.push(node),
        }
    }
    match way.last()? {
        Node::Directory(identity, _) | Node::File(identity) => Some(*identity),
        Node::Link(_) => None,
    }
}

/// The names that a path from the wire is made of, and whether it asks for a directory.
fn read(path: &[u8]) -> Option<Vec<Vec<u8>>> {
    let text: String = path.iter().copied().map(char::from).collect();
    let mut names: Vec<Vec<u8>> = Vec::new();
    for segment in text.strip_prefix('/')?.split('/') {
        let mut pieces = segment.split('%');
        let mut name: Vec<u8> = bytes_of(pieces.next()?);
        for piece in pieces {
            let digits: String = piece.chars().take(2).collect();
            if digits.chars().count() < 2 || !digits.chars().all(|digit| digit.is_ascii_hexdigit())
            {
                return None;
            }
            name.push(u8::from_str_radix(&digits, 16).ok()?);
            name.extend(bytes_of(&piece[2..]));
        }
        if name.iter().any(|byte| b"/\\\0".contains(byte)) {
            return None;
        }
        match name.as_slice() {
            b"" | b"." => {}
            b".." => drop(names.pop()?),
            _ => names.push(name),
        }
    }
    Some(names)
}

fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().map(|character| character as u8).collect()
}

/// Mutants: the segments normalised before they are decoded; a path decoded twice; `openat` in place
/// of `openat2`; RESOLVE_NO_SYMLINKS left out; one that takes `..` at the root for the root.
#[test]
fn paths_open_the_file_that_they_name_or_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    make_tree(folder.path());
    let root = folder.path().join("site");
    let model = model_of(&root);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let open_root = |symlinks| {
        let tree = runtime.block_on(Tree::open_root(&root, symlinks));
        (symlinks, tree.expect("the root opens"))
    };
    let trees = [Symlinks::Within, Symlinks::Never].map(open_root);
    let path = joined(PIECES, 0..12).prop_map(|rest| [b"/", rest.as_slice()].concat());
    judge_cases("paths", (path, 0..trees.len()), |(path, tree)| {
        let (symlinks, tree) = &trees[tree];
        let names = read(&path);
        let parsed = SitePath::parse(&path).ok();
        let shown = parsed
            .as_ref()
            .map(|path| path.segments().map(<[u8]>::to_vec).collect::<Vec<_>>());
        prop_assert_eq!(&shown, &names);
        let Some(parsed) = parsed else {
            return Ok(false);
        };
        let expected = resolve(&model, &names.unwrap_or_default(), *symlinks);
        let opened = runtime.block_on(tree.open(&parsed)).ok();
        let identity = opened.map(|opened| (opened.status.dev(), opened.status.ino()));
        prop_assert_eq!(identity, expected);
        Ok(identity.is_some())
    });
}
