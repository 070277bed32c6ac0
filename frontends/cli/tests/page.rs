//! The page of an image, in a browser: what it counts, what a click and a search do, and how it looks.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use std::path::Path;
use std::process::Command;

use run::Workdir;

/// The browser; none is a failure where the tests require their peers.
fn browser() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser"]
        .into_iter()
        .find(|program| Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success()));
    let is_required = std::env::var_os("LONGSHORE_REQUIRE_PEERS").is_some();
    assert!(found.is_some() || !is_required, "chromium is missing");
    if found.is_none() {
        println!("skipped: chromium is missing");
    }
    found
}

/// Runs the browser on a page, and returns what it prints.
fn browse(work: &Workdir, program: &str, page: &Path, flags: &[&str]) -> String {
    let profile = work.path("profile");
    let output = Command::new(program)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=5000"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(flags)
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The page after a script ran in it.
fn after(work: &Workdir, program: &str, page: &str, script: &str) -> String {
    let text = String::from_utf8(work.read(page)).unwrap();
    work.write("acted.html", text.replace("</body>", &format!("<script>{script}</script></body>")));
    browse(work, program, &work.path("acted.html"), &["--dump-dom"])
}

/// An image that wastes: a file is replaced, one deleted, and one there twice. A name is hostile.
fn prepared() -> Workdir {
    let work = Workdir::new();
    work.write("base/etc/os", "12345");
    work.write("base/usr/share/doc/big", "x".repeat(3000));
    work.write("base/usr/share/gone", "y".repeat(700));
    work.write("tree/etc/os", "123");
    work.write("tree/usr/share/copy", "x".repeat(3000));
    work.write("tree/usr/share/.wh.gone", "");
    work.write("tree/opt/<img src=x onerror=document.title='broken'>", "z".repeat(100));
    let mut tar = Command::new("tar");
    tar.args(["-C", "tree", "-cf", "tree.tar", "etc", "usr", "opt"]).current_dir(work.root());
    assert!(tar.status().unwrap().success());
    work.ok(&["export", "base", "--layer", "tree.tar", "-o", "type=image,name=example.com/app:1"]);
    work.ok(&["export", "base", "-o", "type=image,name=example.com/base:1"]);
    work
}

#[test]
fn a_page_shows_an_image_and_answers() {
    let Some(program) = browser() else { return };
    let work = prepared();
    work.ok(&["inspect", "--html", "image.html", "example.com/app:1"]);
    let shown = browse(&work, program, &work.path("image.html"), &["--dump-dom"]);
    for expected in [
        "<h1>example.com/app:1</h1>",
        "<dt>Layers</dt><dd>2</dd>",
        "<dt>Files</dt><dd>4</dd>",
        "<dt>Waste</dt><dd>3.62 KiB</dd>",
        "<p class=\"warn\">5 B</p>",
        "<p class=\"warn\">700 B</p>",
        "<p class=\"warn\">2.93 KiB</p>",
        "4 files, 5.96 KiB in the image</p>",
    ] {
        assert!(shown.contains(expected), "{expected}\n{}", &shown[..shown.len().min(6000)]);
    }
    assert!(!shown.contains("<img") && !shown.contains("<title>broken"), "names are text");

    let clicked = after(&work, program, "image.html", "document.querySelectorAll('ol.layers button')[1].click();");
    assert!(clicked.contains("3 files, 3.03 KiB in layer 2</p>"), "{clicked}");
    assert_eq!(clicked.matches("aria-pressed=\"true\"").count(), 1);
    let into = "document.querySelector('#map button').click(); document.querySelector('#map button').click();";
    let deeper = after(&work, program, "image.html", into);
    assert!(deeper.contains("2 files, 5.86 KiB in the image: /usr/share</p>"), "{deeper}");
    let key = "document.querySelector('#map button').click(); document.activeElement.dispatchEvent(new \
        KeyboardEvent('keydown', {key: 'Escape', bubbles: true}));";
    assert!(after(&work, program, "image.html", key).contains("4 files, 5.96 KiB in the image</p>"), "Escape goes up");

    let search =
        "const q = document.getElementById('query'); q.value = 'SHARE gone'; q.dispatchEvent(new Event('input'));";
    let found = after(&work, program, "image.html", search);
    assert!(found.contains("role=\"status\">1 file, 700 B</p>"), "{found}");
    assert!(found.contains("<small>layer 1, deleted by a later layer</small>"), "{found}");
}

#[test]
fn a_page_fits_screens_and_needs_no_network() {
    let Some(program) = browser() else { return };
    let work = prepared();
    work.ok(&["inspect", "--html", "image.html", "example.com/app:1"]);
    let page = String::from_utf8(work.read("image.html")).unwrap();
    assert!(!page.contains("http://") && !page.contains("https://") && page.contains("default-src 'none'"));
    let width = "document.title = 'wide ' + (document.documentElement.scrollWidth - window.innerWidth);";
    for size in ["390,844", "1280,900"] {
        let text = page.replace("</body>", &format!("<script>{width}</script></body>"));
        work.write("wide.html", text);
        let flags = [&format!("--window-size={size}")[..], "--dump-dom"];
        let shown = browse(&work, program, &work.path("wide.html"), &flags);
        let title = shown.split("<title>").nth(1).unwrap().split('<').next().unwrap();
        let over: i64 = title.strip_prefix("wide ").unwrap().parse().unwrap();
        assert!(over <= 0, "{size}: {over} pixels are beyond the screen");
        // Both schemes draw, and differ.
        let shots = ["light", "dark"].map(|scheme| {
            let file = work.path(&format!("{scheme}.png"));
            let dark = if scheme == "dark" { "--force-dark-mode" } else { "--disable-features=x" };
            let blink = format!("--blink-settings=preferredColorScheme={}", if scheme == "dark" { 0 } else { 1 });
            let shot = format!("--screenshot={}", file.display());
            browse(&work, program, &work.path("image.html"), &[flags[0], dark, &blink, &shot]);
            std::fs::read(file).unwrap()
        });
        assert!(shots.iter().all(|shot| shot.starts_with(b"\x89PNG") && shot.len() > 5000) && shots[0] != shots[1]);
    }
}

#[test]
fn a_page_shows_what_differs() {
    let Some(program) = browser() else { return };
    let work = prepared();
    work.ok(&["diff", "example.com/base:1", "example.com/app:1", "--html", "diff.html"]);
    let shown = browse(&work, program, &work.path("diff.html"), &["--dump-dom"]);
    for expected in [
        "<dt>Files removed</dt><dd>1</dd>",
        "<dt>Files changed</dt><dd>1</dd>",
        "/usr/share/copy",
        "<dt>Layers in both</dt><dd>1</dd>",
    ] {
        assert!(shown.contains(expected), "{expected}\n{shown}");
    }
}
