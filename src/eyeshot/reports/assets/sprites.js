// Pictures from sprite sheets, drawn into a canvas.
const eyeshotSprites = (description) => {
  if (!description) return null;
  const { side, columns, rows, sheets } = description;
  const images = sheets.map((address) => { const image = new Image(); image.src = address; return image; });
  return (canvas, number) => {
    const each = columns * rows;
    const image = images[Math.floor(number / each)];
    const place = number % each;
    const context = canvas.getContext("2d");
    const draw = () => {
      context.imageSmoothingQuality = "high";
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.drawImage(image, (place % columns) * side, Math.floor(place / columns) * side, side, side, 0, 0, canvas.width, canvas.height);
    };
    // The wanted picture may have changed before a sheet is decoded.
    canvas.dataset.sprite = number;
    if (image.complete) draw();
    else image.decode().then(() => { if (canvas.dataset.sprite === String(number)) draw(); });
  };
};
