//! The public face: whatever can be named in tokio can be named here.
//!
//! The list of names is made when the test runs, from the sources of the tokio that is in the dependency graph: its public
//! modules, functions, types, traits and macros on Linux, with the features `full` and `test-util` and no flag of the
//! compiler; the methods, variants and public fields of its types. Then a crate is made that names them all in ringway, and
//! the compiler says which it does not know.
//!
//! Not in the list are methods that tokio writes by a macro of its own, and implementations of traits.

mod cfg;
mod names;
mod shown;
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cfg::Cfg;
use serde_json::Value;
use shown::Shown;
use sources::{Face, Kind};

/// Names of tokio's that are not here, and why.
const EXCEPTIONS: [(&str, &str); 6] = [
    ("stream", "empty in tokio: there is nothing in it to name"),
    ("sync::mpsc::Sender::send_timeout", SEND_TIMEOUT),
    ("sync::mpsc::error::SendTimeoutError", SEND_TIMEOUT),
    ("sync::mpsc::error::SendTimeoutError::Closed", SEND_TIMEOUT),
    ("sync::mpsc::error::SendTimeoutError::Timeout", SEND_TIMEOUT),
    (
        "sync::mpsc::error::SendTimeoutError::into_inner",
        SEND_TIMEOUT,
    ),
];

/// The channels are tokio's, whose feature `time` brings tokio's own timers into them. Beside its runtime they would panic.
const SEND_TIMEOUT: &str = "it needs tokio's own clock; put `time::timeout` around `send`";

/// Errors of the compiler that say that there is no such name: unresolved imports and paths, no such item, method,
/// variant or field, or one that is not public, or has other parameters.
const ABSENT: [&str; 11] = [
    "E0432", "E0433", "E0412", "E0425", "E0599", "E0603", "E0609", "E0616", "E0624", "E0107",
    "E0364",
];
/// Errors that do not: the type of something generic is left open.
const OPEN: [&str; 4] = ["E0282", "E0283", "E0284", "E0790"];

/// Fewer names than tokio has show that the list is not made as it should.
const NAMES_MIN: usize = 250;
const METHODS_MIN: usize = 850;
/// So many types and functions, at least, are shown by an example in tokio's own modules.
const SHOWN_MIN: usize = 60;

/// The modules of tokio's that are made anew here, and the folders of what stands for them.
const MODULES: [&str; 8] = [
    "fs", "io", "net", "process", "runtime", "signal", "task", "time",
];
const FOLDERS: [&str; 8] = [
    "fs/src",
    "net/src",
    "process/src",
    "runtime/src",
    "signal/src",
    "src",
    "stdio/src",
    "timer/src",
];

#[test]
fn what_tokio_shows_by_an_example_is_shown_by_one_here() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (folder, _) = tokio(root);
    let mut theirs = Shown::new();
    for module in MODULES {
        shown::read(&folder.join("src").join(module), &mut theirs);
    }
    theirs.retain(|_, is_shown| *is_shown);
    assert!(theirs.len() >= SHOWN_MIN, "{} names", theirs.len());
    let mut ours = Shown::new();
    for folder in FOLDERS {
        shown::read(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut ours,
        );
    }
    let bare = theirs.keys().filter(|name| ours.get(*name) == Some(&false));
    let bare: Vec<_> = bare.collect();
    assert!(bare.is_empty(), "without an example: {bare:?}");
}

#[test]
fn every_public_name_of_tokio_is_here() {
    let mut probe = Probe::new();
    let (folder, features) = tokio(&probe.folder);
    let mut cfg = Cfg::new(features);
    let sources = sources::read(&folder.join("src/lib.rs"), &mut cfg);
    let face = names::face(&sources);
    let methods = face.methods.values().map(Vec::len).sum::<usize>();
    assert!(face.names.len() >= NAMES_MIN, "{} names", face.names.len());
    assert!(methods >= METHODS_MIN, "{methods} methods");

    face.names
        .iter()
        .for_each(|(name, kind)| probe.add(&face, name, kind));
    // So the compiler is seen to tell.
    let not_there = [
        "net::NoSuchType",
        "net::TcpStream::no_such_method",
        "process::Child.no_such_field",
    ];
    probe.name(not_there[0]);
    probe.member("net::TcpStream", "", "no_such_method");
    probe.field("process::Child", "no_such_field");
    let mut absent = probe.check();
    for name in not_there {
        assert!(
            absent.remove(name),
            "the compiler does not tell of `{name}`"
        );
    }

    let excepted: BTreeSet<_> = EXCEPTIONS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let missing: Vec<_> = absent.difference(&excepted).collect();
    assert!(
        missing.is_empty(),
        "{} of tokio's names are not here: {missing:#?}",
        missing.len()
    );
    let stale: Vec<_> = excepted.difference(&absent).collect();
    assert!(stale.is_empty(), "excepted, and here: {stale:?}");
}

/// The folder of the tokio that ringway is built with, and the features that `full` and `test-util` are.
fn tokio(probe: &Path) -> (PathBuf, BTreeSet<String>) {
    let version = String::from_utf8(cargo(probe, &["-Vv"])).expect("text");
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    // What other systems need may never have been fetched.
    let platform = format!("--filter-platform={}", host.expect("the host"));
    let arguments = ["metadata", "--offline", "--format-version=1", &platform];
    let metadata: Value = serde_json::from_slice(&cargo(probe, &arguments)).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let tokio = packages
        .iter()
        .find(|package| package["name"] == "tokio")
        .expect("tokio");
    let manifest = Path::new(tokio["manifest_path"].as_str().expect("a path"));
    let mut features = BTreeSet::new();
    let mut left = vec!["full".to_owned(), "test-util".to_owned()];
    while let Some(feature) = left.pop() {
        let implied = tokio["features"][&feature].as_array().into_iter().flatten();
        left.extend(implied.filter_map(|it| Some(it.as_str()?.to_owned())));
        features.insert(feature);
    }
    (manifest.parent().expect("a folder").to_owned(), features)
}

/// What cargo prints.
fn cargo(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .env("CARGO_INCREMENTAL", "0")
        .current_dir(folder)
        .output()
        .expect("cargo");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.stdout.is_empty(), "cargo {arguments:?}: {errors}");
    output.stdout
}

/// A crate that names things, each in a line of its own.
struct Probe {
    folder: PathBuf,
    /// The programs: imports, which the compiler looks at first, and what is in types.
    programs: [Program; 2],
}

struct Program {
    file: &'static str,
    lines: Vec<String>,
    /// What each line names.
    names: Vec<String>,
}

const NAMES: usize = 0;
const MEMBERS: usize = 1;

impl Probe {
    fn new() -> Self {
        let program = |file| Program {
            file,
            lines: vec!["#![allow(warnings)] fn main() {}".to_owned()],
            names: vec![String::new()],
        };
        let probe = Self {
            folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join("face"),
            programs: [program("names.rs"), program("members.rs")],
        };
        probe.write();
        probe
    }

    /// Names something, and what is in it.
    fn add(&mut self, face: &Face, name: &str, kind: &Kind) {
        self.name(name);
        let Kind::Type(shape) = kind else {
            return;
        };
        shape
            .variants
            .iter()
            .for_each(|variant| self.name(&format!("{name}::{variant}")));
        let open = vec!["'_"; shape.lifetimes]
            .into_iter()
            .chain(vec!["_"; shape.generics]);
        let open = open.collect::<Vec<_>>().join(", ");
        let generics = if open.is_empty() {
            open
        } else {
            format!("<{open}>")
        };
        for method in face.methods.get(name).into_iter().flatten() {
            self.member(name, &generics, method);
        }
        if generics.is_empty() {
            shape
                .fields
                .iter()
                .for_each(|field| self.field(name, field));
        }
    }

    fn name(&mut self, name: &str) {
        self.programs[NAMES].add(name.to_owned(), format!("use ringway::{name} as _;"));
    }

    fn member(&mut self, of: &str, generics: &str, member: &str) {
        let line = format!("fn f() {{ let _ = <ringway::{of}{generics}>::{member}; }}");
        self.programs[MEMBERS].add(format!("{of}::{member}"), line);
    }

    fn field(&mut self, of: &str, field: &str) {
        let line = format!("fn f(it: &ringway::{of}) {{ let _ = &it.{field}; }}");
        self.programs[MEMBERS].add(format!("{of}.{field}"), line);
    }

    /// The names that the compiler does not know.
    fn check(self) -> BTreeSet<String> {
        self.write();
        let arguments = [
            "check",
            "--offline",
            "--bins",
            "--keep-going",
            "--message-format=json",
            "--target-dir=target",
        ];
        let output = String::from_utf8(cargo(&self.folder, &arguments)).expect("lines of JSON");
        let mut absent = BTreeSet::new();
        for line in output.lines() {
            let message: Value = serde_json::from_str(line).expect("a message");
            let diagnosis = &message["message"];
            if message["reason"] == "compiler-message" && diagnosis["level"] == "error" {
                absent.extend(self.name_of(diagnosis));
            }
        }
        absent
    }

    /// The name that an error is about, if it says that it is not there.
    fn name_of(&self, diagnosis: &Value) -> Option<String> {
        let text = diagnosis["rendered"].as_str().unwrap_or_default();
        let spans = diagnosis["spans"].as_array()?;
        let span = spans.iter().find(|span| span["is_primary"] == true)?;
        let code = diagnosis["code"]["code"].as_str().unwrap_or_default();
        if OPEN.contains(&code) {
            return None;
        }
        assert!(ABSENT.contains(&code), "{text}");
        let file = span["file_name"].as_str()?;
        let program = self
            .programs
            .iter()
            .find(|program| file.ends_with(program.file));
        let line = span["line_start"].as_u64()? as usize - 1;
        Some(program.unwrap_or_else(|| panic!("{text}")).names[line].clone())
    }

    fn write(&self) {
        let folder = &self.folder;
        let root = env!("CARGO_MANIFEST_DIR");
        fs::create_dir_all(folder.join("src/bin")).expect("a folder");
        let manifest = format!(
            "[package]\nname = \"face\"\nedition = \"2024\"\n\n[profile.dev]\ndebug = false\n\n[dependencies]\n\
             ringway = {{ path = {root:?}, features = [\"full\", \"test-util\"] }}\n\n[workspace]\n"
        );
        fs::write(folder.join("Cargo.toml"), manifest).expect("a manifest");
        let lock = Path::new(root).join("Cargo.lock");
        fs::copy(lock, folder.join("Cargo.lock")).expect("the same versions as ours");
        for program in &self.programs {
            let file = folder.join("src/bin").join(program.file);
            fs::write(file, program.lines.join("\n")).expect("a program");
        }
    }
}

impl Program {
    fn add(&mut self, name: String, line: String) {
        let number = self.lines.len();
        self.lines
            .push(line.replace("fn f(", &format!("fn f{number}(")));
        self.names.push(name);
    }
}
