# report.awk - the demo's view of a file of events: -v what=classes counts them by class; -v what=findings prints one line a finding that matters, cut
# at -v width, and writes the whole events to -v keep. For people: it reads the agent's own JSON, one event a line, by its known shape.

# The text of a column, without its escapes.
function column(name,    at, s) {
	at = index($0, "\"" name "\":\"")
	if (at == 0)
		return ""
	s = substr($0, at + length(name) + 4)
	match(s, /^([^"\\]|\\.)*/)
	s = substr(s, 1, RLENGTH)
	gsub(/\\"/, "\"", s)
	return s
}

what == "classes" {
	n[column("EventClass")]++
	next
}

/"EventClass":"(access_anomaly|volume_spike|config_change)"/ {
	severity = column("EventSeverity")
	if (column("EventOriginalType") ~ /\.(update|end)$/ || severity == "Low" || severity == "Informational")
		next
	print > keep
	line = sprintf("%-14s  %s  %-8s  %s", column("EventClass"), substr(column("TimeGenerated"), 1, 16), severity, column("EventName") ": " column("DetectorReason"))
	print (length(line) > width ? substr(line, 1, width - 3) "..." : line)
}

END {
	if (what != "classes")
		exit
	for (class in n)
		printf "%9d  %s\n", n[class], class
}
