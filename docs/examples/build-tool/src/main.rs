#![doc = include_str!("../README.md")]

mod build;
mod recipe;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use longshore_core::{
    Error, Event, ExporterRegistry, OutputSpec, Progress, ProgressSink, Response, Result, Session, Store, Work,
};
use longshore_exporter_image::ImageExporter;
use longshore_exporter_oci::OciExporter;
use longshore_store::EmbeddedStore;

const USAGE: &str = "write build-tool RECIPE STORE OUTPUT…, with outputs such as type=oci,dest=app.tar";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(responses) => {
            let images = responses.iter().flat_map(|response| &response.images);
            images.for_each(|image| println!("{} {}", image.root.digest, image.names.join(" ")));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            eprintln!("error: {}{hint}", error.with_causes());
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<Vec<Response>> {
    let [recipe, store, outputs @ ..] = arguments else {
        return Err(Error::option("a recipe and a store are needed").with_hint(USAGE));
    };
    let exporters = ExporterRegistry::default().with(OciExporter).with(ImageExporter);
    let specs: Vec<OutputSpec> = outputs
        .iter()
        .map(|text| OutputSpec::parse(text)?.ok_or_else(|| Error::option("an output is empty").with_hint(USAGE)))
        .collect::<Result<_>>()?;
    let work = Work::default().with_progress(Progress::new(Arc::new(Lines)));
    let session = Session::new(&exporters).with_work(work);
    // Before the build: whatever is wrong with the outputs fails here.
    let resolved = session.resolve(&specs)?;
    let result = build::build(Path::new(recipe))?;
    // `type=image` names the image in the store; every output keeps the layers in it that were built for it.
    let store = Store::Images(Arc::new(EmbeddedStore::open(store)?));
    Ok(resolved.export(&result, store)?)
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
