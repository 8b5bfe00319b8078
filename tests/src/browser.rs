//! A headless Chromium: opens one page with a fresh profile and says what a person at the screen would know:
//! what it looks like, what the console said, and what was requested from outside.

use crate::setting;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// What opening a page showed.
#[derive(Debug)]
pub struct Page {
    /// The document after loading.
    pub dom: String,
    /// Console messages.
    pub console: Vec<String>,
    /// Requested addresses that are neither files nor data.
    pub requests: Vec<String>,
    /// Width, height and how many different colours the screenshot has.
    pub screenshot: (u32, u32, usize),
}

/// Opens `url` in a window of `width` by `height`, in the light or the dark scheme.
pub fn open_page(url: &str, width: u32, height: u32, dark: bool) -> Page {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let (picture, net_log) = (folder.path().join("page.png"), folder.path().join("net.json"));
    let quiet = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--dump-dom",
    ];
    let output = Command::new(setting("LEPTON_TEST_CHROMIUM"))
        .args(quiet)
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("--window-size={width},{height}"))
        .arg(format!("--blink-settings=preferredColorScheme={}", if dark { 0 } else { 1 }))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("--log-net-log={}", net_log.display()))
        .arg(url)
        .output()
        .expect("the Chromium of LEPTON_TEST_CHROMIUM starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stderr);
    assert!(output.status.success(), "chromium failed: {said}");
    Page {
        dom: text(&output.stdout),
        console: said.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect(),
        requests: outside_requests(&net_log),
        screenshot: measure(&picture),
    }
}

/// Addresses that the page asked for over the network. The browser's own requests, which no page started,
/// have no origin.
fn outside_requests(net_log: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(net_log).expect("chromium wrote its net log");
    let log: Value = serde_json::from_str(&text).expect("the net log is JSON");
    let events = log["events"].as_array().expect("the net log has events");
    let mut found: Vec<String> = events
        .iter()
        .map(|event| &event["params"])
        .filter(|params| params["initiator"].as_str().is_some_and(|origin| origin != "not an origin"))
        .filter_map(|params| params["url"].as_str())
        .filter(|url| !url.starts_with("file:") && !url.starts_with("data:"))
        .map(str::to_owned)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn measure(picture: &Path) -> (u32, u32, usize) {
    let image = image::open(picture).expect("chromium wrote a screenshot").to_rgb8();
    let mut colours: Vec<[u8; 3]> = image.pixels().map(|pixel| pixel.0).collect();
    colours.sort_unstable();
    colours.dedup();
    (image.width(), image.height(), colours.len())
}
