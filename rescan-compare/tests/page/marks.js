(() => {
    const isLine = mark => mark.tagName === "polyline";
    const isSeen = mark => {
        const box = mark.getBoundingClientRect();
        const paint = getComputedStyle(mark)[isLine(mark) ? "stroke" : "fill"];
        // A line may be flat.
        return Math.max(box.width, box.height) > 0.5 && paint !== "none";
    };
    const charts = [...document.querySelectorAll("figure")].map(figure => {
        const marks = [...figure.querySelectorAll("svg .mark")].filter(isSeen);
        const points = marks.filter(isLine).map(line => line.points.numberOfItems);
        const rows = figure.querySelectorAll("tbody tr").length;
        return [figure.id, { marks: marks.length - points.length, points, rows }];
    });
    return Object.fromEntries(charts);
})()
