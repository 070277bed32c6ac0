//! An exporter whose type and options are known at run time only, as those of a plugin are.

use longshore_core::options::{Attrs, Family, OptionInfo, Options, Visitor, describe, parse};
use longshore_core::{
    BuildResult, Destination, ErrorKind, ExportContext, Exporter, ExporterInfo, ExporterInstance, ExporterRegistry,
    Needs, Output, OutputSpec, Result, Run, Staged,
};
use longshore_testkit::conformance::{self, ExporterCase};
use longshore_testkit::validate;

use crate::tiny::TinyOptions;

/// What a program might say of itself when it is asked.
const DESCRIPTION: &str = r#"{
    "type": "listed",
    "summary": "A layout, described at run time",
    "options": [
        {"key": "tar", "help": "Write an archive", "syntax": "true|false", "default": "true"},
        {"key": "level", "help": "How much of it", "syntax": "LOW|HIGH", "default": "LOW"}
    ]
}"#;

struct ListedExporter {
    info: ExporterInfo,
}

impl ListedExporter {
    fn new(description: &str) -> Self {
        Self { info: serde_json::from_str(description).unwrap() }
    }

    fn values(&self) -> Values {
        let values = self.info.options.iter().map(|option| (option.clone(), None)).collect();
        Values { values, labels: Family::default() }
    }
}

/// A value for each option of the list, and a family that every such program has.
struct Values {
    values: Vec<(OptionInfo, Option<String>)>,
    labels: Family<String, String>,
}

impl Options for Values {
    fn visit(&mut self, visitor: &mut dyn Visitor) -> Result<()> {
        for (option, value) in &mut self.values {
            visitor.visit(option.clone(), value)?;
        }
        visitor.family("label[PLATFORM].KEY", "A label", "none", &mut self.labels)
    }
}

impl Values {
    fn get(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(option, _)| option.key == key).and_then(|(_, value)| value.as_deref())
    }
}

impl Exporter for ListedExporter {
    fn info(&self) -> ExporterInfo {
        ExporterInfo::new(self.info.kind.clone(), self.info.summary.clone(), describe(&mut self.values()))
    }

    fn resolve(&self, attrs: &Attrs) -> Result<Box<dyn ExporterInstance>> {
        let mut values = self.values();
        parse(&self.info.kind, attrs, &mut values)?;
        let kind = Some(self.info.kind.clone().into_owned());
        let inner = TinyOptions { kind, tar: values.get("tar").map(|text| text != "false"), ..TinyOptions::default() };
        Ok(Box::new(Listed { values, inner }))
    }
}

struct Listed {
    values: Values,
    inner: TinyOptions,
}

impl ExporterInstance for Listed {
    fn destination(&self) -> Destination {
        self.inner.destination()
    }

    fn needs(&self, result: &BuildResult, run: Run) -> Result<Needs> {
        self.inner.needs(result, run)
    }

    fn plan(&self, _: &BuildResult, _: Run) -> Result<Vec<String>> {
        let label = self.values.labels.members().iter().map(|label| format!("{}={}", label.name, label.value));
        Ok(self.values.get("level").map(|level| format!("level {level}")).into_iter().chain(label).collect())
    }

    fn export<'a>(
        &'a self,
        result: &'a BuildResult,
        output: Output,
        cx: &'a ExportContext<'a>,
    ) -> Result<Box<dyn Staged + 'a>> {
        self.inner.export(result, output, cx)
    }
}

fn exporters() -> ExporterRegistry {
    ExporterRegistry::default().with(ListedExporter::new(DESCRIPTION))
}

#[test]
fn an_exporter_described_at_run_time_passes_the_suite() {
    conformance::exporter(&ExporterCase::new(
        &exporters,
        &|place| {
            let dest = place.join("image.tar");
            let text = format!("type=listed,level=HIGH,label[linux/arm64].Org.A=b,dest={}", dest.display());
            OutputSpec::parse(&text).unwrap().unwrap()
        },
        &|place| drop(validate::layout_tar(&place.join("image.tar")).unwrap()),
    ));
}

#[test]
fn its_options_are_read_as_those_of_others() {
    let resolve = |text: &str| {
        let spec = OutputSpec::parse(text).unwrap().unwrap();
        exporters().resolve(&spec.kind, &spec.attrs)
    };
    let plan = |text: &str| resolve(text).unwrap().plan(&BuildResult::default(), Run::alone()).unwrap();
    assert_eq!(plan("type=listed,level=LOW,LABEL.Org.A=b,label[x].c=d"), ["level LOW", "Org.A=b", "c=d"]);
    assert_eq!(resolve("type=listed,tar=false").unwrap().destination(), Destination::Layout);
    let error = resolve("type=listed,levle=LOW").unwrap_err();
    assert_eq!((error.kind(), error.hint()), (ErrorKind::InvalidOption, Some("did you mean `level`?")));
}
