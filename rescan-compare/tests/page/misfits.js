(() => {
    const misfits = [];
    const page = document.documentElement;
    if (page.scrollWidth > page.clientWidth) misfits.push(`the page is ${page.scrollWidth} wide`);
    for (const element of document.querySelectorAll("body *")) {
        const box = element.getBoundingClientRect();
        if (box.right > page.clientWidth + 0.5 || box.left < -0.5) {
            misfits.push(`${element.outerHTML.slice(0, 90)} sticks out of the window`);
        }
    }
    for (const svg of document.querySelectorAll("figure > svg")) {
        const frame = svg.getBoundingClientRect();
        const texts = [...svg.querySelectorAll("text")].filter(text => text.textContent.trim() !== "");
        const boxes = texts.map(text => [text.textContent.trim(), text.getBoundingClientRect()]);
        boxes.forEach(([words, box], at) => {
            const across = Math.max(frame.left - box.left, box.right - frame.right);
            const down = Math.max(frame.top - box.top, box.bottom - frame.bottom);
            if (across > 0.5 || down > 0.5) misfits.push(`${svg.parentNode.id}: "${words}" sticks out`);
            for (const [other, its] of boxes.slice(at + 1)) {
                const wide = Math.min(box.right, its.right) - Math.max(box.left, its.left);
                const high = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
                // The box of a line of text has room above and below its letters.
                if (wide > 0.5 && high > box.height / 4) {
                    misfits.push(`${svg.parentNode.id}: "${words}" lies on "${other}"`);
                }
            }
        });
    }
    return misfits;
})()
