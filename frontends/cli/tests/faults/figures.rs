//! The figures of a long run, which it writes into `docs/reliability.md`.

use std::collections::BTreeMap;
use std::path::Path;

/// How many points were tried, and how many problems found, by two properties of them.
pub struct Figures {
    /// What the lines in the page are called that the table is between.
    name: &'static str,
    properties: [&'static str; 2],
    counts: BTreeMap<[String; 2], (usize, usize)>,
}

impl Figures {
    pub fn new(name: &'static str, properties: [&'static str; 2]) -> Self {
        Self { name, properties, counts: BTreeMap::new() }
    }

    /// Counts a point.
    pub fn add(&mut self, point: [String; 2], problems: usize) {
        let count = self.counts.entry(point).or_default();
        *count = (count.0 + 1, count.1 + problems);
    }

    pub fn tried(&self) -> usize {
        self.counts.values().map(|(tried, _)| tried).sum()
    }

    fn violations(&self) -> usize {
        self.counts.values().map(|(_, violations)| violations).sum()
    }

    /// Writes the table into the page, after a long run with `LONGSHORE_BLESS`.
    pub fn write(&self) {
        write(self.name, &self.table());
    }

    /// A row for each first property, with the number of points by the second.
    fn table(&self) -> String {
        let mut columns: Vec<&str> = self.counts.keys().map(|[_, second]| second.as_str()).collect();
        columns.sort_unstable();
        columns.dedup();
        let mut rows: Vec<&str> = self.counts.keys().map(|[first, _]| first.as_str()).collect();
        rows.dedup();
        let [row_name, column_name] = self.properties;
        let mut table = format!(
            "{} points, {} violations. Points by {row_name} and {column_name}:\n\n| {row_name} | {} | violations |\n|---|{}---|\n",
            self.tried(),
            self.violations(),
            columns.join(" | "),
            "---|".repeat(columns.len()),
        );
        for row in rows {
            let of =
                |column: &&str| self.counts.get(&[row.to_owned(), (*column).to_owned()]).copied().unwrap_or((0, 0));
            let counts: Vec<(usize, usize)> = columns.iter().map(of).collect();
            let points: Vec<String> = counts.iter().map(|(tried, _)| tried.to_string()).collect();
            let violations: usize = counts.iter().map(|(_, violations)| violations).sum();
            table += &format!("| {row} | {} | {violations} |\n", points.join(" | "));
        }
        table
    }
}

/// Writes `text` between the lines called `name` of the page, after a long run with `LONGSHORE_BLESS`.
pub fn write(name: &str, text: &str) {
    let is_set = |name: &str| std::env::var_os(name).is_some();
    if !is_set("LONGSHORE_FAULTS") || !is_set("LONGSHORE_BLESS") {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reliability.md");
    let page = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, put_into(&page, name, text)).unwrap();
}

fn put_into(page: &str, name: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let (head, rest) = page.split_once(&begin).expect("the line before the text");
    let (_, tail) = rest.split_once(&end).expect("the line after the text");
    format!("{head}{begin}{text}{end}{tail}")
}

#[test]
fn figures_replace_those_between_the_lines() {
    let mut figures = Figures::new("x", ["command", "fault"]);
    figures.add(["save".to_owned(), "EIO".to_owned()], 0);
    figures.add(["save".to_owned(), "EIO".to_owned()], 2);
    figures.add(["rm".to_owned(), "kill".to_owned()], 0);
    let page = put_into("a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n", "x", &figures.table());
    let table = "3 points, 2 violations. Points by command and fault:\n\n\
        | command | EIO | kill | violations |\n|---|---|---|---|\n| rm | 0 | 1 | 0 |\n| save | 2 | 0 | 2 |\n";
    assert_eq!(page, format!("a\n<!-- x: begin -->\n{table}<!-- x: end -->\nb\n"));
}
