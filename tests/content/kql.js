// kql.js - Microsoft's KQL parser as a filter. In: {"tables": {name: "(column:type,...)"}, "functions": [{name, parameters, body}], "queries": {name: text}};
// out: {name: {"errors": [..], "columns": [[name, type], ..]}}. argv[2]: the folder of @kusto/language-service-next.
"use strict";
const fs = require("fs"), path = require("path"), vm = require("vm");

global.window = global;
for (const file of ["bridge.min.js", "Kusto.Language.Bridge.min.js"])
	vm.runInThisContext(fs.readFileSync(path.join(process.argv[2], file), "utf8"), file);

const kusto = Kusto.Language, symbols = kusto.Symbols;
const given = JSON.parse(fs.readFileSync(0, "utf8"));
const members = Object.entries(given.tables).map(([name, columns]) => new symbols.TableSymbol.$ctor7(name, columns, null));
for (const f of given.functions)
	members.push(new symbols.FunctionSymbol.$ctor16(f.name, f.parameters, f.body, null));
const globals = kusto.GlobalState.Default.WithDatabase(new symbols.DatabaseSymbol.$ctor3("workspace", null, members, false));

const answer = {};
for (const [name, text] of Object.entries(given.queries)) {
	const code = kusto.KustoCode.ParseAndAnalyze(text, globals), errors = [], columns = [];
	const found = code.GetDiagnostics(), result = code.ResultType;
	for (let i = 0; i < found.Count; i++) {
		const d = found.getItem(i);
		errors.push(`${d.Severity}: ${d.Message} at "${text.substr(d.Start, Math.min(d.Length, 60))}"`);
	}
	if (result && result.Columns)
		for (let i = 0; i < result.Columns.Count; i++)
			columns.push([result.Columns.getItem(i).Name, result.Columns.getItem(i).Type.Name]);
	answer[name] = { errors, columns };
}
process.stdout.write(JSON.stringify(answer));
