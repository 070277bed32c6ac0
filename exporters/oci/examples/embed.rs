//! A build tool that exports what it made with Longshore, without the command `longshore`.
//!
//! It checks its output before it builds, so that a typo costs no build. Then it makes an image of two
//! layers, a directory that the build left on disk and an archive in memory, and exports it.
//!
//! ```sh
//! cargo run -p longshore-exporter-oci --example embed -- hello.tar
//! ```

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use longshore_core::archive::{Entry, Writer};
use longshore_core::layer::{DirSource, Layer, LayerSource, Rules, TarSource, TarStream};
use longshore_core::oci::{History, ImageConfig, Platform};
use longshore_core::options::Attrs;
use longshore_core::{
    Artifact, BuildResult, Built, Dest, Error, Event, ExporterRegistry, Image, ImageContent, OutputSpec, Progress,
    ProgressSink, Response, Result, Session, Store, Work,
};
use longshore_exporter_oci::OciExporter;

/// When this build says that it was made. Longshore asks no clock; a build that does not either makes
/// the same image every time.
const TIME: u32 = 1_700_000_000;

/// Builds an image and writes it to the OCI layout archive `dest`.
///
/// # Errors
/// A destination that cannot be written, and whatever fails later.
pub fn build_and_export(dest: &Path) -> Result<Vec<Response>> {
    let registry = ExporterRegistry::default().with(OciExporter);
    let spec = OutputSpec::new("oci")
        .with_dest(Some(Dest::Path(dest.to_owned())))
        .with_attrs(Attrs::from_iter([("name", "example.com/hello:1"), ("compression", "zstd")]));
    let session = Session::new(&registry).with_work(Work::default().with_progress(Progress::new(Arc::new(Lines))));
    // Before the build: whatever is wrong with the outputs fails here.
    let resolved = session.resolve(&[spec])?;
    let directory = tempfile::tempdir()?;
    let result = build(directory.path())?;
    // An output into an image store needs one: `resolved.needs_image_store()`. A file does with a temporary store.
    Ok(resolved.export(&result, Store::Spool)?)
}

/// Returns the build. A real one would compile something.
fn build(directory: &Path) -> Result<BuildResult> {
    let program = directory.join("hello");
    fs::write(&program, "#!/bin/sh\ncat /etc/greeting\n")?;
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755))?;
    File::open(&program)?.set_modified(UNIX_EPOCH + Duration::from_secs(TIME.into()))?;
    // Below /opt/bin of the image, and owned by root whoever builds.
    let rules = Rules::default().with_owner(Some((0, 0))).with_destination(b"opt/bin".to_vec());
    let directory = DirSource::new(directory.to_owned(), rules);

    let greeting = b"hello from a build tool\n";
    let mut tar = Writer::new(Vec::new());
    let entry = Entry { mtime: TIME.into(), ..Entry::file("etc/greeting", 0o644, greeting.len() as u64) };
    tar.append(&entry, &mut &greeting[..])?;
    let archive = TarSource::new(Arc::new(Memory(tar.finish()?)), Rules::default());

    let mut config = ImageConfig::new(&Platform::new("linux", "amd64", None));
    let mut run = config.run_config()?;
    run.set("Cmd", &["/opt/bin/hello"]);
    config.set_run_config(&run);
    let layers =
        vec![layer("copy hello", LayerSource::Dir(directory)), layer("write greeting", LayerSource::Tar(archive))];
    let image = Image::new(ImageContent::Built(Built::Single(Artifact::new(layers, config))));
    Ok(BuildResult::new(vec![image]).with_epoch(Some(TIME.to_string().parse()?)))
}

fn layer(step: &str, source: LayerSource) -> Arc<Layer> {
    let history = History { created_by: Some(step.to_owned()), ..History::default() };
    Arc::new(Layer::new(source, history))
}

/// An archive in memory. It may be opened more than once.
#[derive(Debug)]
struct Memory(Vec<u8>);

impl TarStream for Memory {
    fn open(&self) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(&self.0[..]))
    }

    fn name(&self) -> String {
        "greeting".to_owned()
    }
}

/// Prints what begins, and warnings.
struct Lines;

impl ProgressSink for Lines {
    fn send(&self, event: Event) {
        match event {
            Event::Started { name, .. } => eprintln!("{name}"),
            Event::Warning { message } => eprintln!("warning: {message}"),
            _ => {}
        }
    }
}

fn main() -> ExitCode {
    let dest = std::env::args_os().nth(1).unwrap_or_else(|| "hello.tar".into());
    match build_and_export(Path::new(&dest)) {
        Ok(responses) => {
            responses.iter().flat_map(|response| &response.images).for_each(|image| println!("{}", image.root.digest));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}{}", hint(&error));
            ExitCode::FAILURE
        }
    }
}

fn hint(error: &Error) -> String {
    error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default()
}
