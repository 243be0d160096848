//! A headless Chromium and its one tab, spoken to by the DevTools protocol over a pair of pipes: JSON, each message ended
//! by a NUL.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use std::{fs, thread};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::chore::Result;
use crate::processes::Processes;

/// How long the browser may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition in the page is looked at.
const GLANCE: Duration = Duration::from_millis(50);

/// Dropping it ends the browser.
pub(super) struct Browser {
    _processes: Processes,
    commands: ChildStdin,
    messages: Receiver<Value>,
    last_id: u64,
    session: String,
    /// What came without being an answer, and was not waited for yet.
    events: Vec<Value>,
}

impl Browser {
    /// Starts the browser, with `profile` as a fresh folder for what it keeps, and opens a tab.
    pub(super) fn start(profile: &Path) -> Result<Browser> {
        // There is none before the first run.
        let _ = fs::remove_dir_all(profile);
        let mut child = command(profile)
            .spawn()
            .map_err(|error| format!("cannot start chromium: {error}"))?;
        let commands = child.stdin.take().expect("piped");
        let messages = receive_all(child.stdout.take().expect("piped"));
        let mut browser = Browser {
            _processes: Processes::adopt(child),
            commands,
            messages,
            last_id: 0,
            session: String::new(),
            events: Vec::new(),
        };
        browser.open_tab()?;
        Ok(browser)
    }

    fn open_tab(&mut self) -> Result<()> {
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call("Target.attachToTarget", attach)?;
        let session = attached["sessionId"].as_str().ok_or("no session")?;
        self.session = session.to_owned();
        for domain in ["Page", "Runtime", "Log", "Audits"] {
            self.call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(())
    }

    /// Calls a method of the protocol and returns its result.
    pub(super) fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.last_id += 1;
        let id = self.last_id;
        let mut command = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_empty() && !method.starts_with("Browser.") {
            command["sessionId"] = self.session.clone().into();
        }
        self.commands
            .write_all(format!("{command}\0").as_bytes())
            .map_err(|error| format!("chromium is gone: {error}"))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut message = self.receive(deadline, method)?;
            if message["id"] != id {
                self.events.push(message);
                continue;
            }
            return match message.get("error") {
                None => Ok(message["result"].take()),
                Some(error) => Err(format!("{method}: {error}")),
            };
        }
    }

    fn receive(&mut self, deadline: Instant, what: &str) -> Result<Value> {
        let patience = deadline.saturating_duration_since(Instant::now());
        self.messages
            .recv_timeout(patience)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => format!("not within {PATIENCE:?}: {what}"),
                RecvTimeoutError::Disconnected => format!("chromium has ended: {what}"),
            })
    }

    /// Waits for an event, also one that came since the last one that was waited for.
    pub(super) fn wait_for(
        &mut self,
        method: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        let is_it = |event: &Value| event["method"] == method && is_it(&event["params"]);
        loop {
            if let Some(at) = self.events.iter().position(is_it) {
                return Ok(self.events.remove(at)["params"].take());
            }
            let message = self.receive(deadline, method)?;
            self.events.push(message);
        }
    }

    /// Takes out all events so far that say that something went wrong in the page.
    pub(super) fn take_complaints(&mut self) -> Result<Vec<String>> {
        // What was said before the answer to this has come before it.
        self.call("Runtime.evaluate", json!({"expression": "0"}))?;
        let is_complaint = |event: &Value| match event["method"].as_str() {
            Some(
                "Runtime.exceptionThrown" | "Page.javascriptDialogOpening" | "Audits.issueAdded",
            ) => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        let (complaints, rest) = std::mem::take(&mut self.events)
            .into_iter()
            .partition(is_complaint);
        self.events = rest;
        let complaints: Vec<Value> = complaints;
        Ok(complaints
            .iter()
            .map(|event| event["params"].to_string())
            .collect())
    }

    /// Goes to an address and waits until the page is complete.
    pub(super) fn go(&mut self, url: &str) -> Result<()> {
        self.events
            .retain(|event| event["method"] != "Page.loadEventFired");
        let answer = self.call("Page.navigate", json!({"url": url}))?;
        if let Some(error) = answer.get("errorText") {
            return Err(format!("{url}: {error}"));
        }
        self.wait_for("Page.loadEventFired", |_| true)?;
        Ok(())
    }

    /// The value of an expression of JavaScript in the page, when it has come if it is a promise.
    pub(super) fn value_of(&mut self, expression: &str) -> Result<Value> {
        let parameters = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
        });
        let mut answer = self.call("Runtime.evaluate", parameters)?;
        match answer.get("exceptionDetails") {
            None => Ok(answer["result"]["value"].take()),
            Some(details) => Err(format!("{expression}: {details}")),
        }
    }

    /// Waits until an expression is true.
    pub(super) fn wait_until(&mut self, expression: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.value_of(expression)? != true {
            if Instant::now() > deadline {
                return Err(format!("not within {PATIENCE:?}: {expression}"));
            }
            thread::sleep(GLANCE);
        }
        Ok(())
    }

    /// Clicks with the mouse on the first link with this text.
    pub(super) fn click(&mut self, text: &str) -> Result<()> {
        let place = self.value_of(&format!(
            "(() => {{ for (const a of document.links) if (a.textContent === {}) {{
                a.scrollIntoView({{block: 'center'}});
                const box = a.getBoundingClientRect();
                return [box.x + Math.min(box.width / 2, 60), box.y + box.height / 2];
            }} }})()",
            json!(text)
        ))?;
        if place.is_null() {
            return Err(format!("there is no link {text:?}"));
        }
        for kind in ["mousePressed", "mouseReleased"] {
            let parameters = json!({
                "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", parameters)?;
        }
        Ok(())
    }

    /// Clicks on a link and waits until the page that it leads to is complete.
    pub(super) fn follow(&mut self, text: &str) -> Result<()> {
        self.events
            .retain(|event| event["method"] != "Page.loadEventFired");
        self.click(text)?;
        self.wait_for("Page.loadEventFired", |_| true)?;
        Ok(())
    }

    /// Behaves as a screen of this size, which prefers this scheme of colours.
    pub(super) fn be(&mut self, (width, height): (u32, u32), scheme: &str) -> Result<()> {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics)?;
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}))?;
        Ok(())
    }

    /// What is on the screen, as PNG.
    pub(super) fn screenshot(&mut self) -> Result<Vec<u8>> {
        self.capture(json!({"format": "png"}))
    }

    /// The same as WebP, of a quality in percent.
    pub(super) fn picture(&mut self, quality: u8) -> Result<Vec<u8>> {
        self.capture(json!({"format": "webp", "quality": quality}))
    }

    fn capture(&mut self, format: Value) -> Result<Vec<u8>> {
        let shot = self.call("Page.captureScreenshot", format)?;
        let text = shot["data"].as_str().ok_or("no data")?;
        STANDARD
            .decode(text)
            .map_err(|error| format!("a screenshot is no base64: {error}"))
    }
}

/// The browser reads commands from descriptor 3 and writes to 4. Its sandbox needs leave that a container or root has not;
/// it sees nothing but pages of ours.
fn command(profile: &Path) -> Command {
    const SCRIPT: &str = "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            SCRIPT,
            "sh",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
        ])
        .args([
            "--remote-debugging-pipe",
            "--hide-scrollbars",
            "--no-first-run",
        ])
        .args(["--autoplay-policy=no-user-gesture-required", "--mute-audio"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0);
    command
}

/// The messages of the browser, until it ends.
fn receive_all(output: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for message in BufReader::new(output)
            .split(0)
            .map_while(std::result::Result::ok)
        {
            let parsed = serde_json::from_slice(&message).unwrap_or(Value::Null);
            if sender.send(parsed).is_err() {
                return;
            }
        }
    });
    receiver
}
