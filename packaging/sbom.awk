# sbom.awk - an SPDX 2.3 document (JSON) of the source release: the libraries that configure.ac asks for, by its own rows, with the least version that
# will do, and whether the agent needs them, may use them, or only its tests do. Read licences.tbl first.
#   awk -f sbom.awk -v version=V -v date=YYYY-MM-DD licences.tbl configure.ac
# A parameter with the name of an array or a function is an error to mawk.
# Form: https://spdx.github.io/spdx-spec/v2.3/

BEGIN { FS = "\t" }

FILENAME ~ /licences\.tbl$/ {
	if ($0 !~ /^#/) {
		name[$1] = $2; licence[$1] = $3; home[$1] = $4; purl[$1] = $5
	}
	next
}

# NEED([VARIABLE], [module >= 1.2], ...) and OPTIONAL([option], [VARIABLE], [module >= 1.2], ...)
/(^|[^A-Z_])(NEED|OPTIONAL)\(\[/ && !/AC_DEFUN/ && !/dnl/ {
	match($0, /\[[a-z][a-zA-Z0-9.-]* >= [0-9.]+\]/)
	if (RSTART == 0)
		next
	split(substr($0, RSTART + 1, RLENGTH - 2), part, " >= ")
	module = part[1]
	if (!(module in name)) {
		print "sbom.awk: " module " has no row in licences.tbl" >"/dev/stderr"
		failed = 1
		exit 1
	}
	order[++n] = module
	least[module] = part[2]
	kind[module] = $0 ~ /cmocka/ ? "TEST_DEPENDENCY_OF" : $0 ~ /OPTIONAL\(/ || module == "json-c" || module == "simdjson" ? "OPTIONAL_DEPENDENCY_OF" : "DEPENDENCY_OF"
}

function spdx_id(module) {
	gsub(/[^a-zA-Z0-9.-]/, "-", module)
	return "SPDXRef-" module
}

function put_package(its_id, its_name, its_version, its_licence, its_home, its_purl, its_comment) {
	printf "    {\"SPDXID\": \"%s\", \"name\": \"%s\", \"versionInfo\": \"%s\", \"downloadLocation\": \"%s\", \"filesAnalyzed\": false,\n", its_id, its_name, its_version, its_home
	printf "     \"licenseConcluded\": \"NOASSERTION\", \"licenseDeclared\": \"%s\", \"copyrightText\": \"NOASSERTION\"", its_licence
	if (its_purl != "")
		printf ",\n     \"externalRefs\": [{\"referenceCategory\": \"PACKAGE-MANAGER\", \"referenceType\": \"purl\", \"referenceLocator\": \"%s\"}]", its_purl
	if (its_comment != "")
		printf ",\n     \"comment\": \"%s\"", its_comment
	printf "}"
}

END {
	if (failed)
		exit 1
	if (n == 0) {
		print "sbom.awk: no library found in configure.ac" >"/dev/stderr"
		exit 1
	}
	printf "{\n  \"spdxVersion\": \"SPDX-2.3\", \"dataLicense\": \"CC0-1.0\", \"SPDXID\": \"SPDXRef-DOCUMENT\", \"name\": \"aispm-agent-%s\",\n", version
	printf "  \"documentNamespace\": \"https://spdx.org/spdxdocs/aispm-agent-%s-%s\",\n", version, date
	printf "  \"creationInfo\": {\"created\": \"%sT00:00:00Z\", \"creators\": [\"Organization: aispm-agent maintainers\", \"Tool: packaging/sbom.awk-%s\"]},\n", date, version
	printf "  \"documentDescribes\": [\"SPDXRef-aispm-agent\"],\n  \"packages\": [\n"
	put_package("SPDXRef-aispm-agent", "aispm-agent", version, "NOASSERTION", "NOASSERTION", "pkg:generic/aispm-agent@" version, "")
	for (i = 1; i <= n; i++) {
		printf ",\n"
		put_package(spdx_id(order[i]), name[order[i]], ">=" least[order[i]], licence[order[i]], home[order[i]], purl[order[i]],
			"linked dynamically; the version is the least one that configure accepts")
	}
	printf "\n  ],\n  \"relationships\": [\n    {\"spdxElementId\": \"SPDXRef-DOCUMENT\", \"relationshipType\": \"DESCRIBES\", \"relatedSpdxElement\": \"SPDXRef-aispm-agent\"}"
	for (i = 1; i <= n; i++)
		printf ",\n    {\"spdxElementId\": \"%s\", \"relationshipType\": \"%s\", \"relatedSpdxElement\": \"SPDXRef-aispm-agent\"}", spdx_id(order[i]), kind[order[i]]
	printf "\n  ]\n}\n"
}
