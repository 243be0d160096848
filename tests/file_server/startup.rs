//! The command line and the errors of starting.

use std::process::{Command, Output};

use crate::support::{Folder, Server, binary};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(binary())
        .args(arguments)
        .output()
        .expect("the example starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn help_names_every_option() {
    let (code, stdout, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    for option in [
        "[DIR]",
        "--addr",
        "--workers",
        "--max-connections",
        "--max-connections-per-address",
        "--max-head-bytes",
        "--max-head-fields",
        "--max-target-bytes",
        "--max-pipelined-bytes",
        "--max-ranges",
        "--max-unsent-mib",
        "--head-timeout-ms",
        "--idle-timeout-ms",
        "--stall-timeout-ms",
        "--drain-timeout-ms",
        "--symlinks",
        "--precompressed",
        "--status",
        "--status-anywhere",
        "--tls-cert",
        "--tls-key",
        "--cache-control",
        "--quiet",
        "--help",
    ] {
        assert!(stdout.contains(option), "{option} is missing in {stdout}");
    }
}

#[test]
fn wrong_arguments_end_with_2_and_say_what_is_expected() {
    for (arguments, expected) in [
        (["--addr", "nonsense"], "such as 127.0.0.1:8080"),
        (["--workers", "0"], "1..=1024"),
        (["--unknown", "x"], "--unknown"),
    ] {
        let (code, _, stderr) = run(&arguments);
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}

#[test]
fn a_folder_that_cannot_be_served_ends_with_1_and_names_it() {
    let folder = Folder::new();
    let file = folder.write("file.txt", "").display().to_string();
    for path in ["/no/such/folder", &file] {
        let (code, stdout, stderr) = run(&[path, "--addr", "127.0.0.1:0"]);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{path}");
        assert!(
            stderr.starts_with(&format!("file_server: cannot serve {path}: ")),
            "{stderr}"
        );
    }
}

#[test]
fn an_address_that_is_taken_ends_with_1_and_a_remedy() {
    let folder = Folder::new();
    let server = Server::start(&folder.root());
    let root = folder.root().display().to_string();
    let address = server.address.to_string();
    let (code, _, stderr) = run(&[&root, "--addr", &address]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains(&address) && stderr.contains("choose another with --addr"),
        "{stderr}"
    );
    let (code, _, stderr) = run(&[&root, "--addr", "192.0.2.1:8080"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no such address"), "{stderr}");
}

#[test]
fn the_current_folder_is_served_by_default() {
    let folder = Folder::new();
    folder.write("here.txt", "here");
    let mut command = Command::new(binary());
    command.current_dir(folder.root());
    let (server, _output) = Server::launch(command);
    assert_eq!(server.get("/here.txt").text(), "here");
}
