# changelog.awk - CHANGELOG.md as debian/changelog (-v kind=deb) or as %changelog of the spec (-v kind=rpm).

function date(day, format,    command, text) {
	command = "LC_ALL=C TZ=UTC date -u -d " day " '" format "'"
	command | getline text
	close(command)
	return text
}

# A point in lines of at most 79 columns.
function point(text, first, next_lines,    words, n, i, line) {
	n = split(text, words, " ")
	line = first
	for (i = 1; i <= n; i++) {
		if (length(line) + 1 + length(words[i]) > 79) {
			print line
			line = next_lines
		}
		line = line " " words[i]
	}
	print line
}

function finish() {
	if (text != "")
		point(text, kind == "deb" ? "  *" : "-", kind == "deb" ? "   " : " ")
	text = ""
}

function sign_off() {
	finish()
	if (version == "")
		return
	if (kind == "deb")
		printf "\n -- %s  %s\n", who, date(day, "+%a, %d %b %Y 00:00:00 +0000")
}

BEGIN {
	who = "aispm-agent maintainers <maintainers@aispm-agent.example>"
}

/^## / {
	sign_off()
	if (version != "")
		print ""
	version = $2; day = $4
	if (kind == "deb")
		printf "aispm-agent (%s-1) unstable; urgency=medium\n\n", version
	else
		printf "* %s %s - %s-1\n", date(day, "+%a %b %d %Y"), who, version
	next
}

version == "" { next }
/^- / { finish(); text = substr($0, 3); next }
/^  / { text = text " " substr($0, 3); next }

END { sign_off() }
