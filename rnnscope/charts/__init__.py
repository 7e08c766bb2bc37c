"""Pure drawing: numbers in, rows of text and style out. Knows neither textual, rich nor torch.

Every chart is a plain function that returns `list[Row]`, exactly as many rows and cells as it was asked for:

| function | file | draws |
|---|---|---|
| `line_chart` | lines.py | lines, bands, dots and marks on fixed, labelled axes |
| `heat_map`, `legend` | heatmap.py | a matrix of values in half blocks, and its colour bar |
| `raster` | raster.py | a field of values over two labelled axes, with marks |
| `scatter` | scatter.py | clouds of points on labelled axes, with a path through them |
| `triangle` | triangle.py | a square of values between two texts, with a cursor |
| `count_chart` | counts.py | a histogram on labelled axes, with thresholds |
| `table` | table.py | rows and columns, one row selected |
| `coloured_text` | coloured_text.py | text whose every character is coloured by a value |
| `paired_text` | paired_text.py | two such texts, aligned character by character |
| `meter`, `bar_row`, `histogram`, `sparkline` | bars.py | bars |
"""
