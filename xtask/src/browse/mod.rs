//! `cargo xtask browse`: the example `file_server`, as a browser sees it.
//!
//! A headless Chromium looks at a tree that is made for it: on a wide screen and on a phone, in light and in dark. It
//! clicks through folders, sorts, downloads a file, plays a film and watches the status page. Nothing may go wrong in its
//! console, and its policy may have nothing to refuse. The screenshots are for people to look at; a few of them, as small
//! pictures, are what the documentation shows.

mod browser;
mod scenes;
mod shots;
mod status;
mod tree;

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::Args;

use self::browser::Browser;
use self::scenes::Stage;
use self::shots::Shots;
use crate::chore::{self, Result, program, target_folder};
use crate::processes::{Processes, ends_with_us, free_port};

/// Of the server, so that its status page has more than one to show on any machine.
const WORKERS: usize = 2;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where the screenshots are written to [default: browse/shots below the target folder]
    #[arg(long, value_name = "FOLDER")]
    shots: Option<PathBuf>,

    /// Where the pictures that the documentation shows are written to, as WebP [default: nowhere]
    #[arg(long, value_name = "FOLDER")]
    pictures: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    for (name, package) in [("chromium", "chromium"), ("ffmpeg", "ffmpeg")] {
        check_installed(name, package)?;
    }
    chore::run(program("cargo").args(["build", "--example", "file_server"]))?;
    let folder = target_folder("browse");
    let shots = options.shots.clone().unwrap_or(folder.join("shots"));
    let log = folder.join("access.log");
    let downloads = folder.join("downloads");
    for made in [&shots, &downloads].into_iter().chain(&options.pictures) {
        fs::create_dir_all(made).map_err(|error| format!("{}: {error}", made.display()))?;
    }
    let root = tree::make(&folder)?;
    let (port, status_port) = (free_port()?, free_port()?);
    let _server = start_server(&root, port, status_port, &log)?;
    let stage = Stage {
        address: format!("http://127.0.0.1:{port}"),
        status: format!("http://127.0.0.1:{status_port}"),
        port,
        root,
        shots: Shots::new(shots, options.pictures.clone()),
        downloads,
        log,
    };
    let mut browser = Browser::start(&folder.join("profile"))?;
    scenes::play_all(&mut browser, &stage)?;
    println!(
        "all scenes went well; screenshots: {}",
        stage.shots.folder().display()
    );
    Ok(())
}

fn check_installed(name: &str, package: &str) -> Result<()> {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()));
    match found {
        true => Ok(()),
        false => Err(format!(
            "{name} is not installed, and this chore needs it: apt-get install {package}"
        )),
    }
}

fn start_server(root: &Path, port: u16, status_port: u16, log: &Path) -> Result<Processes> {
    let server = target_folder("debug/examples/file_server");
    // The status page shows the folder as it is named here.
    let (above, name) = (root.parent(), root.file_name());
    let (above, name) = above.zip(name).ok_or("a root without a name")?;
    let words = [
        server.into_os_string(),
        name.into(),
        "--addr".into(),
        format!("127.0.0.1:{port}").into(),
        "--status".into(),
        format!("127.0.0.1:{status_port}").into(),
        "--workers".into(),
        WORKERS.to_string().into(),
    ];
    let output = File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
    let mut command = ends_with_us(words);
    command.current_dir(above);
    Processes::start_with_output(command, Stdio::from(output), || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    })
}
