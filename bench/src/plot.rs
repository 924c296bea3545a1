//! A picture of a run: a bar for each workload, as long as its share of what it is held against, and a mark where it is to reach.

use std::fmt::Write as _;

use crate::row::Row;

const ROW: usize = 26;
const LEFT: usize = 250;
const WIDTH: usize = 960;
const TOP: usize = 70;

/// The `rows` as an SVG, of the machine that is `described`.
pub(crate) fn svg(rows: &[Row], described: &str) -> String {
    let rows: Vec<(&Row, f64)> = rows.iter().filter_map(|row| Some((row, row.share?))).collect();
    let height = TOP + ROW * rows.len() + 40;
    // What is twice as good as it has to be, or better, goes to the edge.
    let most = 2.0;
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let scale = (WIDTH - LEFT - 70) as f64 / most;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"17\" font-weight=\"bold\">Share of what bounds each call; the mark is the goal</text>\n\
         <text x=\"16\" y=\"46\" fill=\"#555\">{}</text>\n",
        escaped(described)
    );
    for (at, (row, share)) in rows.iter().enumerate() {
        let y = TOP + ROW * at;
        let fill = match row.reaches() {
            Some(true) => "#2a7f62",
            Some(false) => "#c4502f",
            None => "#7a8594",
        };
        let (length, mid) = (share.clamp(0.0, most) * scale, y + 14);
        let end = LEFT + 8;
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{mid}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{length:.1}\" height=\"18\" fill=\"{fill}\"/>\
             <text x=\"{:.1}\" y=\"{mid}\">{:.0} %</text>",
            LEFT - 8,
            escaped(&row.workload),
            f64::from(u32::try_from(end).unwrap_or_default()) + length,
            share * 100.0
        );
        if let Some(goal) = row.goal {
            let x = f64::from(u32::try_from(LEFT).unwrap_or_default()) + goal * scale;
            let _ = writeln!(
                out,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\" stroke=\"#111\" stroke-width=\"2\"/>",
                y - 3,
                y + 21
            );
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
