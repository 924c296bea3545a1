//! [`Row`]: one workload and what came of it; as a line of a table, and as a line of JSON.

use serde::Serialize;

use crate::course::Measured;

/// What came of one workload. What is not known of it is `null`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    /// Its name.
    pub(crate) workload: String,
    /// Calls a second of the server's time on its core.
    pub(crate) per_cpu_second: Option<f64>,
    /// What it is held against: a rate; of `cold-start` and `tail-at-half`, milliseconds; of `idle`, megabytes.
    pub(crate) bound: Option<f64>,
    /// How much of that it reaches. More is better, of times and memory too.
    pub(crate) share: Option<f64>,
    /// The share that is aimed at.
    pub(crate) goal: Option<f64>,
    /// How long half of the calls took at most, in milliseconds.
    pub(crate) p50_ms: Option<f64>,
    /// And all but one in a hundred.
    pub(crate) p99_ms: Option<f64>,
    /// Trips to the store for each call.
    pub(crate) round_trips: Option<f64>,
    /// Megabytes resident at the end.
    pub(crate) rss_mb: Option<f64>,
}

impl Row {
    /// What `measured` says of the workload of that name.
    pub(crate) fn of(workload: String, measured: &Measured, (bound, goal): (Option<f64>, Option<f64>)) -> Self {
        let per_cpu_second = measured.per_cpu_second();
        #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
        let round_trips = measured.trips.map(|trips| trips as f64 / measured.calls as f64);
        Self {
            workload,
            per_cpu_second,
            bound,
            share: per_cpu_second.zip(bound).map(|(rate, bound)| rate / bound),
            goal,
            p50_ms: measured.percentile(50),
            p99_ms: measured.percentile(99),
            round_trips,
            rss_mb: measured.resident,
        }
    }

    /// What is not to take longer, or more, than `bound`, and took `had`.
    pub(crate) fn at_most((workload, bound): (&str, f64), had: f64) -> Self {
        Self {
            workload: workload.to_owned(),
            per_cpu_second: None,
            bound: Some(bound),
            share: Some(bound / had),
            goal: Some(1.0),
            p50_ms: None,
            p99_ms: None,
            round_trips: None,
            rss_mb: None,
        }
    }

    /// Whether it reaches what is aimed at.
    pub(crate) fn reaches(&self) -> Option<bool> {
        self.share.zip(self.goal).map(|(share, goal)| share >= goal)
    }
}

/// Of several runs, in the order of the first: each row as it is in the run with the median of its shares.
pub(crate) fn medians(runs: &[Vec<Row>]) -> Vec<Row> {
    let one = |row: &Row| {
        let mut rows: Vec<&Row> = runs.iter().flatten().filter(|other| other.workload == row.workload).collect();
        rows.sort_by(|one, other| one.share.unwrap_or(f64::NAN).total_cmp(&other.share.unwrap_or(f64::NAN)));
        rows[(rows.len() - 1) / 2].clone()
    };
    runs.first().map_or_else(Vec::new, |first| first.iter().map(one).collect())
}

/// The middle of them, or between the two in the middle.
pub(crate) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let (low, high) = (figures.get(figures.len().checked_sub(1)? / 2)?, figures.get(figures.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

/// For people.
pub(crate) fn table(rows: &[Row]) -> String {
    let widest = rows.iter().map(|row| row.workload.len()).max().unwrap_or(0).max("workload".len());
    let heads = ["per CPU-second", "bound", "share", "goal", "", "p50 ms", "p99 ms", "trips", "RSS MB"];
    let line = |name: &str, cells: [String; 9]| {
        let [rate, bound, share, goal, met, p50, p99, trips, rss] = cells;
        format!("{name:<widest$}  {rate:>14}  {bound:>8}  {share:>6}  {goal:>5} {met:<1}  {p50:>8}  {p99:>8}  {trips:>6}  {rss:>7}").trim_end().to_owned()
    };
    let mut lines = vec![line("workload", heads.map(str::to_owned))];
    for row in rows {
        let cell =
            |figure: Option<f64>, digits: usize| figure.map_or(String::new(), |figure| format!("{figure:.digits$}"));
        let percent = |share: Option<f64>| share.map_or(String::new(), |share| format!("{:.0} %", share * 100.0));
        let met = row.reaches().map_or("", |reaches| if reaches { "✓" } else { "✗" });
        lines.push(line(
            &row.workload,
            [
                cell(row.per_cpu_second, 0),
                cell(row.bound, if row.bound.is_some_and(|bound| bound < 1_000.0) { 2 } else { 0 }),
                percent(row.share),
                percent(row.goal),
                met.to_owned(),
                cell(row.p50_ms, 2),
                cell(row.p99_ms, 2),
                cell(row.round_trips, 2),
                cell(row.rss_mb, 1),
            ],
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(share: f64) -> Row {
        Row { share: Some(share), p50_ms: Some(1.5), rss_mb: Some(20.0), ..Row::at_most(("poll-es256", 10.0), 1.0) }
    }

    #[test]
    fn of_several_runs_a_row_is_that_with_the_median_share() {
        let of = |shares: &[f64]| {
            let runs: Vec<Vec<Row>> = shares.iter().map(|share| vec![row(*share)]).collect();
            medians(&runs).first().and_then(|row| row.share)
        };
        assert_eq!(of(&[0.5, 0.9, 0.6]), Some(0.6));
        assert_eq!(of(&[0.7, 0.5]), Some(0.5), "of two the lesser");
        assert_eq!(of(&[]), None);
        assert_eq!((median(vec![1.0, 2.0]), median(Vec::new())), (Some(1.5), None));
    }

    #[test]
    fn a_table_says_what_is_reached_and_leaves_out_what_is_not_known() {
        let text = table(&[row(1.0), Row { goal: None, ..row(0.4) }, row(0.99)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[1].contains("100 %  100 % ✓") && lines[3].contains("99 %  100 % ✗"), "{text}");
        assert!(!lines[2].contains(['✓', '✗']), "{text}");
    }

    #[test]
    fn json_has_every_member_that_is_promised() {
        let text = serde_json::to_string(&row(0.5)).expect("a row is JSON");
        let expected = r#"{"workload":"poll-es256","per_cpu_second":null,"bound":10.0,"share":0.5,"goal":1.0,"p50_ms":1.5,"p99_ms":null,"round_trips":null,"rss_mb":20.0}"#;
        assert_eq!(text, expected);
    }
}
