//! The status page in the browser, while the server has something to do.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::WORKERS;
use super::browser::Browser;
use super::scenes::{PAGE_WIDTH, PHONE, Stage, WIDE, expect_value};
use crate::chore::Result;

/// Clients that ask one request after the other, and how long each rests between two.
const CLIENTS: u16 = 4;
const REST: Duration = Duration::from_millis(2);

/// What they ask for: a page, a file that is there, a larger one, and one that is not there.
const TARGETS: [&str; 4] = ["/", "/README.md", "/song.flac", "/missing"];

/// The clients have asked for so long that the page's curves have a shape.
const HAS_SHAPE: &str = "samples.at(-10)?.requests.by_class['4xx'] > 0";

/// Watches until there is something to see: everything is drawn, fits, and says that it is live.
pub(super) fn watch(browser: &mut Browser, stage: &Stage) -> Result<()> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let done = &done;
            scope.spawn(move || ask_until(done, stage.port, usize::from(number)));
        }
        let watched = look(browser, stage);
        done.store(true, Ordering::Relaxed);
        watched
    })
}

fn look(browser: &mut Browser, stage: &Stage) -> Result<()> {
    browser.go(&format!("{}/", stage.status))?;
    browser.wait_until(HAS_SHAPE)?;
    let cards = "document.querySelectorAll('#workers > .card').length";
    expect_value(browser, cards, json!(WORKERS))?;
    expect_value(
        browser,
        "document.querySelector('#state').textContent",
        json!("live"),
    )?;
    let answered = "samples.at(-1).requests.by_class";
    for class in ["2xx", "4xx"] {
        expect_value(browser, &format!("{answered}['{class}'] > 0"), json!(true))?;
    }
    let curves =
        "[...document.querySelectorAll('path.curve')].every(path => path.getAttribute('d'))";
    expect_value(browser, curves, json!(true))?;
    for (size, size_name) in [(WIDE, "1280"), (PHONE, "390")] {
        for scheme in ["light", "dark"] {
            browser.be(size, scheme)?;
            stage
                .shots
                .take(browser, &format!("status-{size_name}-{scheme}"))?;
            expect_value(browser, PAGE_WIDTH, json!(size.0))?;
        }
    }
    browser.be(WIDE, "light")
}

/// A client, until the page was seen. What goes wrong with it shows on the page.
fn ask_until(done: &AtomicBool, port: u16, first: usize) {
    for target in TARGETS.iter().cycle().skip(first) {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let _ = ask(port, target);
        thread::sleep(REST);
    }
}

fn ask(port: u16, target: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}
