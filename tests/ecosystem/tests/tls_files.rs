//! The example `tls_files`, by the command in its first line, over real TLS: rcgen makes the certificate.

#[path = "../../support/example.rs"]
mod example;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use example::Program;
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use rcgen::{CertifiedKey, KeyPair};
use ringway::io::AsyncReadExt;
use ringway::net::TcpStream;
use ringway_ecosystem_tests::{WATCHDOG, get, http1, http2, within};
use rustix::process::Signal;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// More than all buffers on the way hold.
const LARGE: usize = 8 << 20;

/// A folder with a certificate, its key, and what is served.
struct Site {
    folder: tempfile::TempDir,
    identity: CertifiedKey<KeyPair>,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let named = vec!["localhost".to_owned()];
        let identity = rcgen::generate_simple_self_signed(named).expect("a certificate");
        let site = Self { folder, identity };
        site.write("certificate.pem", site.identity.cert.pem().as_bytes());
        let key = site.identity.signing_key.serialize_pem();
        site.write("key.pem", key.as_bytes());
        std::fs::create_dir(site.path("files")).expect("a folder");
        site.write("files/small.txt", b"small");
        site.write("files/large", &sample());
        site
    }

    fn path(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        path.into_os_string().into_string().expect("text")
    }

    fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.path(name), content).expect("a file");
    }

    /// The program, and where it listens.
    fn serve(&self) -> (Program, String) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tls_files.rs");
        let source = std::fs::read_to_string(source).expect("an example");
        let command = source.lines().next().expect("a line");
        let words =
            command.strip_prefix("//! `cargo run -p ringway-ecosystem-tests --bin tls_files -- ");
        let words = words.expect("a command").trim_end_matches('`').split(' ');
        let mut command = Command::new(env!("CARGO_BIN_EXE_tls_files"));
        command.args(words.map(|word| match word {
            "CERTIFICATE" => self.path("certificate.pem"),
            "KEY" => self.path("key.pem"),
            "FOLDER" => self.path("files"),
            address => address.replace(":8443", ":0"),
        }));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let output = child.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let address = line.strip_prefix("listening on ").expect("an address");
        (Program { child }, address.trim_end().to_owned())
    }

    /// A connection, for which a protocol is agreed upon.
    async fn connect(&self, address: &str, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.identity.cert.der().clone()).expect("a root");
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(address).await.expect("a connection");
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name, stream).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
        stream
    }
}

fn sample() -> Vec<u8> {
    (0..LARGE).map(|at| (at / 3 + at / 1000) as u8).collect()
}

async fn body(response: Response<Incoming>) -> Vec<u8> {
    use http_body_util::BodyExt;

    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.expect("a body");
    body.to_bytes().to_vec()
}

#[ringway::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_served_over_tls_by_http_1_and_2_until_the_program_is_interrupted() {
    let site = Site::new();
    let (mut program, address) = site.serve();
    within(async {
        // Somebody who never shakes hands holds up nobody.
        let mut silent = TcpStream::connect(&address).await.unwrap();

        let mut client = http1(site.connect(&address, b"http/1.1").await).await;
        for (path, content) in [("/small.txt", b"small".to_vec()), ("/large", sample())] {
            client.ready().await.unwrap();
            let response = client.send_request(get(path)).await.unwrap();
            assert!(body(response).await == content, "{path}");
        }
        for (path, status) in [
            ("/nothing", StatusCode::NOT_FOUND),
            ("/small.txt/more", StatusCode::NOT_FOUND),
            ("/%2e%2e/key.pem", StatusCode::FORBIDDEN),
        ] {
            client.ready().await.unwrap();
            let response = client.send_request(get(path)).await.unwrap();
            assert_eq!(response.status(), status, "{path}");
        }

        let client = http2(site.connect(&address, b"h2").await).await;
        let downloads = (0..4).map(|_| {
            let mut client = client.clone();
            ringway::spawn(async move {
                let request = get("https://localhost/large");
                let response = client.send_request(request).await.unwrap();
                assert!(body(response).await == sample());
            })
        });
        for download in downloads.collect::<Vec<_>>() {
            download.await.unwrap();
        }

        program.signal(Signal::INT);
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    })
    .await;
    assert!(program.wait_for_end(WATCHDOG).success());
}
