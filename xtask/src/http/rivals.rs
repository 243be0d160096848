//! The servers that are compared, and how each is told to serve as fast as it can.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::chore::{Result, program, target_folder};
use crate::processes::{Processes, ends_with_us};

#[derive(Clone, Copy, Debug)]
pub(super) struct Rival {
    pub(super) name: &'static str,
    pub(super) remark: &'static str,
    pub(super) role: Role,
    /// Never follows a symlink out of the root.
    pub(super) is_symlink_safe: bool,
    kind: Kind,
}

/// What a server is in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Ours,
    /// One of those that ours is held to.
    Other,
    /// No server, but what the kernel alone takes: it shows what is there to be had.
    Loop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ringway,
    Bare,
    /// With these lines in its block `http`.
    Nginx(&'static str),
    /// With these lines at the end.
    Lighttpd(&'static str),
}

const fn other(name: &'static str, remark: &'static str, kind: Kind) -> Rival {
    Rival {
        name,
        remark,
        role: Role::Other,
        is_symlink_safe: false,
        kind,
    }
}

const fn safe(rival: Rival) -> Rival {
    Rival {
        is_symlink_safe: true,
        ..rival
    }
}

const OPEN_FILE_CACHE: &str =
    "open_file_cache max=12000 inactive=600s; open_file_cache_min_uses 1;";

pub(super) const ALL: [Rival; 7] = [
    Rival {
        name: "ringway",
        remark: "the example `file_server`, as it comes, built with `--profile fast`; what it knows of a file is valid for 1 s",
        role: Role::Ours,
        is_symlink_safe: true,
        kind: Kind::Ringway,
    },
    other(
        "nginx",
        "`sendfile on`, `open_file_cache off`",
        Kind::Nginx("open_file_cache off;"),
    ),
    other(
        "nginx-cache",
        "`sendfile on`, `open_file_cache` of 12,000 files, valid for 60 s",
        Kind::Nginx(OPEN_FILE_CACHE),
    ),
    other(
        "lighttpd",
        "as it comes: `sendfile`, what it knows of a file is valid for 1 s",
        Kind::Lighttpd(""),
    ),
    safe(other(
        "nginx-safe",
        "as nginx, with `disable_symlinks on`",
        Kind::Nginx("open_file_cache off; disable_symlinks on;"),
    )),
    safe(other(
        "lighttpd-safe",
        "as lighttpd, with `server.follow-symlink = \"disable\"`",
        Kind::Lighttpd("server.follow-symlink = \"disable\"\n"),
    )),
    Rival {
        name: "loop",
        remark: "no server: epoll, `recv`, and `send` or `sendfile` of answers that were made when it started (`benches/src/bin/bare_files.rs`)",
        role: Role::Loop,
        is_symlink_safe: false,
        kind: Kind::Bare,
    },
];

/// Programs that the comparison needs, and the packages of Debian that have them.
const PACKAGES: [(&str, &str); 4] = [
    ("nginx", "nginx-light"),
    ("lighttpd", "lighttpd"),
    ("wrk", "wrk"),
    ("setpriv", "util-linux"),
];

/// Says which programs are missing, and how to have them.
pub(super) fn check_installed(rivals: &[Rival]) -> Result<()> {
    let needed = |name: &str| match name {
        "nginx" | "lighttpd" => rivals.iter().any(|rival| rival.program() == name),
        _ => true,
    };
    let missing = PACKAGES
        .into_iter()
        .filter(|(name, _)| needed(name) && find(name).is_none())
        .map(|(_, package)| package);
    let missing: Vec<&str> = missing.collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "programs are missing: apt-get install {}",
            missing.join(" ")
        ))
    }
}

/// The program of this name. Servers are often where only the administrator's PATH has them.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(administrators)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// What is compared, as the programs call themselves.
pub(super) fn versions(rivals: &[Rival]) -> Result<String> {
    let mut versions = Vec::new();
    for name in ["nginx", "lighttpd"] {
        if rivals.iter().any(|rival| rival.program() == name) {
            let found = find(name).ok_or(format!("{name} is gone"))?;
            let output = program(found).arg("-v").output();
            let output = output.map_err(|error| format!("{name}: {error}"))?;
            let text = [output.stdout, output.stderr].concat();
            versions.push(version(name, &String::from_utf8_lossy(&text)));
        }
    }
    Ok(versions.join(", "))
}

/// The version in `nginx version: nginx/1.22.1` or `lighttpd/1.4.69 (ssl) - ...`.
fn version(name: &str, text: &str) -> String {
    let after = text.split(&format!("{name}/")).nth(1).unwrap_or_default();
    let number = after
        .split_whitespace()
        .next()
        .unwrap_or("of unknown version");
    format!("{name} {number}")
}

impl Rival {
    fn program(&self) -> &'static str {
        match self.kind {
            Kind::Ringway => "file_server",
            Kind::Bare => "bare_files",
            Kind::Nginx(_) => "nginx",
            Kind::Lighttpd(_) => "lighttpd",
        }
    }

    /// Starts the server and waits until it accepts connections.
    pub(super) fn start(&self, root: &Path, port: u16) -> Result<Processes> {
        self.start_with(root, port, &[])
    }

    /// The same with more arguments.
    pub(super) fn start_with(
        &self,
        root: &Path,
        port: u16,
        arguments: &[&str],
    ) -> Result<Processes> {
        let folder = target_folder("bench-http").join(self.name);
        std::fs::create_dir_all(&folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
        let configuration = folder.join("configuration");
        let text = self.configuration(root, &folder, port);
        std::fs::write(&configuration, text)
            .map_err(|error| format!("{}: {error}", configuration.display()))?;
        let mut words: Vec<OsString> = Vec::new();
        match self.kind {
            Kind::Ringway => {
                words.push(target_folder("fast/examples/file_server").into());
                words.push(root.into());
                words.extend(["--workers", "2", "--quiet"].map(Into::into));
                // All that ask have one address.
                words.extend(["--max-connections-per-address", "1024", "--addr"].map(Into::into));
                words.push(format!("127.0.0.1:{port}").into());
            }
            Kind::Bare => {
                words.push(target_folder("fast/bare_files").into());
                words.push(root.into());
                words.push(format!("127.0.0.1:{port}").into());
            }
            Kind::Nginx(_) => {
                words.push(find("nginx").ok_or("nginx is gone")?.into());
                words.extend(["-e".into(), folder.join("error.log").into()]);
                words.extend([
                    "-p".into(),
                    folder.into(),
                    "-c".into(),
                    configuration.into(),
                ]);
            }
            Kind::Lighttpd(_) => {
                words.push(find("lighttpd").ok_or("lighttpd is gone")?.into());
                words.extend(["-D".into(), "-f".into(), configuration.into()]);
            }
        }
        words.extend(arguments.iter().map(Into::into));
        Processes::start(ends_with_us(words), port)
    }

    fn configuration(&self, root: &Path, folder: &Path, port: u16) -> String {
        let (root, folder) = (root.display(), folder.display());
        match self.kind {
            Kind::Ringway | Kind::Bare => String::new(),
            Kind::Nginx(lines) => {
                let user = match is_root() {
                    true => "user root;",
                    false => "",
                };
                format!(
                    "{user} daemon off; worker_processes 2; worker_rlimit_nofile 16384;\n\
                     pid {folder}/pid; error_log {folder}/error.log;\n\
                     events {{ worker_connections 2048; }}\n\
                     http {{ access_log off; sendfile on; tcp_nopush on; {lines}\n\
                     keepalive_requests 1000000000; keepalive_timeout 600s;\n\
                     client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n\
                     fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;\n\
                     scgi_temp_path {folder}/scgi;\n\
                     types {{ text/html html; }} default_type application/octet-stream;\n\
                     server {{ listen 127.0.0.1:{port} backlog=1024; root {root}; }} }}\n"
                )
            }
            Kind::Lighttpd(lines) => format!(
                "server.document-root = \"{root}\"\nserver.port = {port}\n\
                 server.bind = \"127.0.0.1\"\nserver.max-worker = 2\n\
                 server.errorlog = \"{folder}/error.log\"\nserver.network-backend = \"sendfile\"\n\
                 server.max-fds = 16384\nserver.listen-backlog = 1024\n\
                 server.max-keep-alive-requests = 65535\nserver.max-keep-alive-idle = 600\n\
                 mimetype.assign = ( \".html\" => \"text/html\", \"\" => \"application/octet-stream\" )\n\
                 {lines}"
            ),
        }
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_programs_say() {
        assert_eq!(
            version("nginx", "nginx version: nginx/1.22.1\n"),
            "nginx 1.22.1"
        );
        assert_eq!(
            version("lighttpd", "lighttpd/1.4.69 (ssl) - a light\n"),
            "lighttpd 1.4.69"
        );
        assert_eq!(version("nginx", ""), "nginx of unknown version");
    }

    #[test]
    fn one_is_ours_and_one_no_server_and_the_safe_ones_are_told_to_be() {
        for role in [Role::Ours, Role::Loop] {
            assert_eq!(ALL.iter().filter(|rival| rival.role == role).count(), 1);
        }
        for rival in ALL.iter().filter(|rival| rival.name.ends_with("-safe")) {
            let text = rival.configuration("/r".as_ref(), "/f".as_ref(), 1);
            assert!(text.contains("symlink") && rival.is_symlink_safe, "{text}");
        }
    }
}
