//! A picture of a run: a bar for each workload, as long as its share of what it is held against, and a mark where it is to reach.

use std::fmt::Write as _;

use crate::row::Row;

const ROW: u32 = 26;
const LEFT: u32 = 250;
const WIDTH: u32 = 960;
const TOP: u32 = 70;

const TAKES: &str = "a string takes whatever is written to it";

/// The `rows` as an SVG, of the machine that is `described`.
pub(crate) fn svg(rows: &[Row], described: &str) -> String {
    let rows: Vec<(&Row, f64)> = rows.iter().filter_map(|row| Some((row, row.share?))).collect();
    let count = u32::try_from(rows.len()).expect("a few dozen workloads");
    let height = TOP + ROW * count + 40;
    // What is twice as good as it has to be, or better, goes to the edge.
    let most = 2.0;
    let scale = f64::from(WIDTH - LEFT - 70) / most;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"17\" font-weight=\"bold\">Share of what bounds each call; the mark is the goal</text>\n\
         <text x=\"16\" y=\"46\" fill=\"#555\">{}</text>\n",
        escaped(described)
    );
    for (at, (row, share)) in (0..count).zip(&rows) {
        let y = TOP + ROW * at;
        let fill = match row.reaches() {
            Some(true) => "#2a7f62",
            Some(false) => "#c4502f",
            None => "#7a8594",
        };
        let (length, mid) = (share.clamp(0.0, most) * scale, y + 14);
        // Right of the mark, too.
        let end = f64::from(LEFT) + length.max(row.goal.unwrap_or(0.0) * scale) + 8.0;
        writeln!(
            out,
            "<text x=\"{}\" y=\"{mid}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"18\" fill=\"{fill}\"/>\
             <text x=\"{end:.1}\" y=\"{mid}\">{:.0} %</text>",
            LEFT - 8,
            escaped(&row.workload),
            share * 100.0
        )
        .expect(TAKES);
        if let Some(goal) = row.goal {
            let x = f64::from(LEFT) + goal * scale;
            writeln!(
                out,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\" stroke=\"#111\" stroke-width=\"2\"/>",
                y - 3,
                y + 21
            )
            .expect(TAKES);
        }
    }
    out + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_workload_with_a_share_has_a_bar_and_each_goal_a_mark() {
        let row = Row::at_most(("a<b", 2.0), 1.0);
        let rows = [row.clone(), Row { goal: None, share: Some(9.0), ..row.clone() }, Row { share: None, ..row }];
        let svg = svg(&rows, "one & two");
        assert_eq!((svg.matches("<rect x=").count(), svg.matches("<line ").count()), (2, 1));
        assert!(svg.contains("a&lt;b") && svg.contains("one &amp; two") && svg.ends_with("</svg>\n"));
        assert!(svg.contains(">900 %<"), "the figure says what the bar is too short for");
    }
}
