//! What the browser does, and what must come of it.

use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fs, thread};

use serde_json::{Value, json};

use super::browser::Browser;
use super::shots::Shots;
use super::status;
use super::tree::{DOWNLOAD, FILM, HOSTILE, MANY};
use crate::chore::Result;

/// Where it plays.
pub(super) struct Stage {
    pub(super) address: String,
    /// The same of the status page.
    pub(super) status: String,
    /// That of the address.
    pub(super) port: u16,
    /// What the server serves.
    pub(super) root: PathBuf,
    pub(super) shots: Shots,
    pub(super) downloads: PathBuf,
    /// The server's access log.
    pub(super) log: PathBuf,
}

type Scene = fn(&mut Browser, &Stage) -> Result<()>;

const SCENES: [(&str, Scene); 9] = [
    ("screens", look_at_all_screens),
    ("folders", walk_through_folders),
    ("order", sort_by_clicks),
    ("names", look_at_hostile_names),
    ("many entries", look_at_many),
    ("a download", download),
    ("a film", watch_film),
    ("the status page", status::watch),
    ("an error", look_at_error),
];

pub(super) const WIDE: (u32, u32) = (1280, 800);
pub(super) const PHONE: (u32, u32) = (390, 844);

/// Plays all scenes, none of which may leave a complaint of the browser behind.
pub(super) fn play_all(browser: &mut Browser, stage: &Stage) -> Result<()> {
    for (name, scene) in SCENES {
        scene(browser, stage).map_err(|error| format!("{name}: {error}"))?;
        match browser.take_complaints()?.as_slice() {
            [] => println!("{name}: well"),
            complaints => return Err(format!("{name}: {}", complaints.join("\n"))),
        }
    }
    provoke_complaint(browser, stage)
}

/// An error, if the values are not the same.
pub(super) fn expect(what: &str, found: &Value, expected: &Value) -> Result<()> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found} and not {expected}")),
    }
}

pub(super) fn expect_value(browser: &mut Browser, expression: &str, expected: Value) -> Result<()> {
    let found = browser.value_of(expression)?;
    expect(expression, &found, &expected)
}

fn look_at_all_screens(browser: &mut Browser, stage: &Stage) -> Result<()> {
    let mut papers = Vec::new();
    for (size, size_name) in [(WIDE, "1280"), (PHONE, "390")] {
        for scheme in ["light", "dark"] {
            browser.be(size, scheme)?;
            for (path, page) in [("/projects/deep/", "deep"), ("/", "root")] {
                browser.go(&format!("{}{path}", stage.address))?;
                let name = format!("{page}-{size_name}-{scheme}");
                stage.shots.take(browser, &name)?;
                expect_value(browser, PAGE_WIDTH, json!(size.0))?;
                expect_value(browser, LOW_ROWS, json!([]))?;
            }
            papers.push(browser.value_of("getComputedStyle(document.body).backgroundColor")?);
        }
    }
    browser.be(WIDE, "light")?;
    expect("light is light everywhere", &papers[0], &papers[2])?;
    expect("dark is dark everywhere", &papers[1], &papers[3])?;
    match papers[0] == papers[1] {
        true => Err(format!("light and dark are the same: {}", papers[0])),
        false => Ok(()),
    }
}

/// More than the screen has, if something does not fit.
pub(super) const PAGE_WIDTH: &str = "document.documentElement.scrollWidth";

/// The rows that are lower than what a finger needs, 44 pixels.
const LOW_ROWS: &str = "[...document.querySelectorAll('tbody tr')]\
    .filter(row => row.getBoundingClientRect().height < 44).map(row => row.textContent)";

const PLACE: &str = "decodeURI(location.pathname) + location.search";

/// The names in a page's rows, with what is above.
const NAMES: &str =
    "[...document.querySelectorAll('tbody tr')].map(row => row.querySelector('a').textContent)";

fn walk_through_folders(browser: &mut Browser, stage: &Stage) -> Result<()> {
    browser.go(&format!("{}/", stage.address))?;
    for (link, place) in [
        ("projects/", "/projects/"),
        ("deep/", "/projects/deep/"),
        ("er/", "/projects/deep/er/"),
        ("projects", "/projects/"),
        ("deep/", "/projects/deep/"),
        ("Parent folder", "/projects/"),
        ("/", "/"),
    ] {
        browser.follow(link)?;
        expect_value(browser, PLACE, json!(place))?;
    }
    Ok(())
}

fn sort_by_clicks(browser: &mut Browser, stage: &Stage) -> Result<()> {
    const SORTED: &str =
        "[...document.querySelectorAll('th')].map(th => th.getAttribute('aria-sort'))";
    const FILES: &str = "[...document.querySelectorAll('tr:not(.dir) > td:first-child')].map(td => td.textContent[0]).join('')";
    browser.go(&format!("{}/", stage.address))?;
    expect_value(browser, FILES, json!("aaefhnRs"))?;
    for (column, files, sorted) in [
        (
            "Size",
            "fsahRnae".to_owned(),
            json!([null, "descending", null]),
        ),
        (
            "Size",
            "eanRhasf".to_owned(),
            json!([null, "ascending", null]),
        ),
        (
            "Name",
            "aaefhnRs".to_owned(),
            json!(["ascending", null, null]),
        ),
        (
            "Name",
            "sRnhfeaa".to_owned(),
            json!(["descending", null, null]),
        ),
    ] {
        browser.follow(column)?;
        expect_value(browser, FILES, json!(files))?;
        expect_value(browser, SORTED, sorted)?;
    }
    // The order goes along, and back.
    let query = "?sort=name&order=desc";
    for (link, place) in [("projects/", "/projects/"), ("/", "/")] {
        browser.follow(link)?;
        expect_value(browser, PLACE, json!(format!("{place}{query}")))?;
    }
    Ok(())
}

/// Nothing in a name becomes anything but text, and each link leads to its file.
fn look_at_hostile_names(browser: &mut Browser, stage: &Stage) -> Result<()> {
    browser.go(&format!("{}/hostile/", stage.address))?;
    expect_value(
        browser,
        "document.scripts.length + document.images.length",
        json!(0),
    )?;
    for (_, shown) in HOSTILE {
        let is_shown = format!("{NAMES}.includes({})", json!(shown));
        expect_value(browser, &is_shown, json!(true))?;
    }
    let fetch_all = "Array.from(document.querySelectorAll('tbody tr:not(.up) a'), a => a.href)";
    let links = browser.value_of(fetch_all)?;
    let links = links.as_array().ok_or("no links")?;
    expect("links", &json!(links.len()), &json!(HOSTILE.len()))?;
    let prefix = format!("{}/hostile/", stage.address);
    match links
        .iter()
        .all(|link| link.as_str().is_some_and(|link| link.starts_with(&prefix)))
    {
        true => Ok(()),
        false => Err(format!("a link leads elsewhere: {links:?}")),
    }
}

fn look_at_many(browser: &mut Browser, stage: &Stage) -> Result<()> {
    browser.go(&format!("{}/many/", stage.address))?;
    expect_value(
        browser,
        "document.querySelectorAll('tr:not(.up) > td > a').length",
        json!(MANY),
    )?;
    expect_value(
        browser,
        "document.querySelector('p').textContent",
        json!("5,000 files, 0 B"),
    )
}

fn download(browser: &mut Browser, stage: &Stage) -> Result<()> {
    let to = stage.downloads.display().to_string();
    let behaviour = json!({"behavior": "allow", "downloadPath": to, "eventsEnabled": true});
    browser.call("Browser.setDownloadBehavior", behaviour)?;
    let (path, origin) = (stage.downloads.join(DOWNLOAD), stage.root.join(DOWNLOAD));
    // An earlier run may have left one.
    let _ = fs::remove_file(&path);
    browser.go(&format!("{}/", stage.address))?;
    browser.click(DOWNLOAD)?;
    browser.wait_for("Browser.downloadProgress", |progress| {
        progress["state"] != "inProgress"
    })?;
    let read = |path| fs::read(path).map_err(|error| format!("{}: {error}", stage.root.display()));
    match read(&path)? == read(&origin)? {
        true => Ok(()),
        false => Err(format!("{} is not what was served", path.display())),
    }
}

/// Plays, jumps to a place that was not received yet, and plays on.
fn watch_film(browser: &mut Browser, stage: &Stage) -> Result<()> {
    browser.go(&format!("{}/", stage.address))?;
    browser.click(FILM)?;
    browser.wait_until("document.querySelector('video')?.readyState >= 2")?;
    let jump = "(async () => {
        const film = document.querySelector('video');
        film.muted = true;
        await film.play();
        film.currentTime = 50;
        await new Promise(resolve => film.addEventListener('seeked', resolve, {once: true}));
        return [film.videoWidth, film.duration >= 59, film.currentTime >= 50, film.error];
    })()";
    expect_value(browser, jump, json!([320, true, true, null]))?;
    browser.wait_until("document.querySelector('video').currentTime > 50.5")?;
    // Lines come when answers end: those of the film, when it is left.
    browser.go(&format!("{}/", stage.address))?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let log = fs::read_to_string(&stage.log).map_err(|error| error.to_string())?;
        let of_film = log
            .lines()
            .filter(|line| line.contains("\"GET /film.webm "));
        let parts = of_film.filter(|line| line.contains("\" 206 ")).count();
        if parts >= 2 {
            println!("  {parts} parts of the film were asked for");
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("only {parts} answers with a part of the film"));
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// The browser itself complains of a page that is not there, and of nothing else.
fn look_at_error(browser: &mut Browser, stage: &Stage) -> Result<()> {
    browser.go(&format!("{}/missing", stage.address))?;
    expect_value(
        browser,
        "document.querySelector('h1').textContent",
        json!("404 Not Found"),
    )?;
    stage.shots.take(browser, "error")?;
    let complaints = browser.take_complaints()?;
    if complaints.len() != 1 || !complaints[0].contains("status of 404") {
        return Err(format!("{complaints:?}"));
    }
    browser.follow("To the top folder")?;
    expect_value(browser, PLACE, json!("/"))
}

/// What all scenes rely on: something that the policy refuses is complained of.
fn provoke_complaint(browser: &mut Browser, stage: &Stage) -> Result<()> {
    browser.go(&format!("{}/", stage.address))?;
    let script = "document.body.appendChild(document.createElement('script')).textContent = '1'";
    browser.value_of(script)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    while browser.take_complaints()?.is_empty() {
        if Instant::now() > deadline {
            return Err("a script of a page was not complained of".to_owned());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
